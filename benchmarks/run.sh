#!/bin/sh
# Runs the benchmarks (see --help) with the libraries that they compare with. Those are
# put beside the project's virtual environment, once; local/venv.sh sets PYTHON.
set -eu
cd "$(dirname "$0")/.."

wanted=benchmarks/requirements.txt
libraries=${PYTHON%/bin/python}-bench
if ! cmp -s "$wanted" "$libraries/installed"; then
    echo "Installing what to compare with into ${libraries#"$PWD/"} ..." >&2
    rm -rf "$libraries"
    "$PYTHON" -m pip install -qq --disable-pip-version-check --no-input --no-deps \
        --target "$libraries" -r "$wanted"
    cp "$wanted" "$libraries/installed"
fi
PYTHONPATH=layers/common:$libraries
export PYTHONPATH
unset PYTHONDONTWRITEBYTECODE # imports are measured as Lambda has them: compiled
exec "$PYTHON" -m benchmarks "$@"
