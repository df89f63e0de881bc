#!/usr/bin/env bash
# A complete small transfer study on embedded data: bash launch/demo.sh [WORKDIR]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
workdir=${1:-$root/runs/factors}
source "$root/launch/setup.sh"
code=0
python -m jaxseg.main --config="$root/configs/factors.py" --workdir="$workdir" || code=$?
if [ -f "$workdir/report/index.html" ]; then
  echo "Open $workdir/report/index.html in a browser."
fi
exit $code
