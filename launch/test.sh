#!/usr/bin/env bash
# The tests, in the demo's environment: bash launch/test.sh [PYTEST ARGUMENTS]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
EXTRAS="[tests]"
source "$root/launch/setup.sh"
cd "$root"
if [ "$#" -eq 0 ]; then
  set -- -m "not release"
fi
exec python -m pytest "$@"
