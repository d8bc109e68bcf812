#!/bin/sh
# Runs a module of the benchmarks (see --help). The libraries that they compare with are in an
# environment of their own; local/venv.sh sets PYTHON and creates both environments.
set -eu
cd "$(dirname "$0")/.."

libraries=$(echo "${PYTHON%/bin/python}-bench"/lib/python3*/site-packages)
PYTHONPATH=layers/common:$libraries
export PYTHONPATH
unset PYTHONDONTWRITEBYTECODE # imports are measured as on Lambda: compiled
exec "$PYTHON" -m "$@"
