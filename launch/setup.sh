# Sourced by the other scripts with $root set: a virtual environment with jaxseg in it.
# EXTRAS=[tests] adds extras. The second time nothing is installed.
python=${PYTHON:-python3}
venv=${VENV:-$root/.venv}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "jaxseg needs Python >= 3.11; $python is $("$python" --version 2>&1)." \
    "Set PYTHON=/path/to/python3.11." >&2
  exit 2
fi
if [ ! -x "$venv/bin/python" ]; then
  echo "Making $venv"
  "$python" -m venv "$venv"
fi
# What was installed is remembered by the text of pyproject.toml and the extras.
wanted="$(cksum <"$root/pyproject.toml") ${EXTRAS:-}"
for stamp in "$venv"/.jaxseg-installed*; do
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && found=1
done
if [ -z "${found:-}" ]; then
  echo "Installing jaxseg${EXTRAS:-} into $venv (once)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --editable "$root${EXTRAS:-}"
  # As pip does with what it copies: the first command is as fast as the next.
  "$venv/bin/python" -m compileall -q "$root/jaxseg" "$root/configs"
  echo "$wanted" >"$venv/.jaxseg-installed${EXTRAS:-}"
fi
export PATH="$venv/bin:$PATH"
