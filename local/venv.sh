#!/bin/sh
# Runs a command in the project's virtual environment, which is made first if needed:
#   sh local/venv.sh pytest -k name        PYTHON=python3.12 sh local/venv.sh python
# Python is $PYTHON; else the one of .python-version, on PATH or of pyenv; else another
# from 3.11 up, those that the tests are run with first. ENVIRONMENTS="checkov lambda"
# asks for more: each has a local/requirements-NAME.txt, and its commands are found too.
set -eu
cd "$(dirname "$0")/.."

# A name on PATH is not enough: pyenv's shims stand there for versions that are not.
works() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    wanted=$(cat .python-version)
    for python in "python$wanted" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$wanted"*/bin/python \
        python3.11 python3.12 python3.14 python3; do
        if works "$python"; then
            echo "$python"
            return
        fi
    done
    echo "Python 3.11 or newer is needed ($wanted is best): install it, or name one" \
        "with PYTHON=/path/to/python." >&2
    return 1
}

python=${PYTHON:-}
[ -n "$python" ] || python=$(find_python)
if ! works "$python"; then
    echo "PYTHON=$python does not run, or is older than 3.11." >&2
    exit 1
fi
environment=$("$python" local/install.py)
bin=$environment/bin
for name in ${ENVIRONMENTS:-}; do
    bin=$bin:$environment-$name/bin
done
PATH=$bin:$PATH
PYTHON=$environment/bin/python # what `make` targets further down are to use
export PATH PYTHON SAM_CLI_TELEMETRY=0
exec "$@"
