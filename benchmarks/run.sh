#!/bin/sh
# Runs the benchmarks (see --help) with the libraries that they compare with, which have
# an environment of their own; local/venv.sh sets PYTHON and creates both.
set -eu
cd "$(dirname "$0")/.."

libraries=$(echo "${PYTHON%/bin/python}-bench"/lib/python3*/site-packages)
PYTHONPATH=layers/common:$libraries
export PYTHONPATH
unset PYTHONDONTWRITEBYTECODE # imports are measured as Lambda has them: compiled
exec "$PYTHON" -m benchmarks "$@"
