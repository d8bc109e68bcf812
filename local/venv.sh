#!/bin/sh
# Runs a command in the project's virtual environment, which is created first if needed:
#   sh local/venv.sh pytest -k name        PYTHON=python3.12 sh local/venv.sh python
# Python is $PYTHON, or the version of .python-version on PATH or from pyenv, or any other
# from 3.11, preferring those that the tests use. `.venv/3.13` is for development,
# `.venv/3.13-ministack` for the local S3. ENVIRONMENTS="checkov" adds more: each has a
# requirements/NAME.txt, and its commands are found too.
set -eu
cd "$(dirname "$0")/.."

fail() { echo "$*" >&2; exit 1; }

find_python() { # sets python, its version, and the prefix it is installed under
    wanted=$(cat .python-version)
    # pyenv has slow shims even for missing versions, so an existing environment is first.
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- ".venv/$wanted/bin/python" "python$wanted" \
            "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$wanted"*/bin/python \
            python3.11 python3.12 python3.14 python3
    fi
    for python; do
        if found=$("$python" -ISc 'import sys; v = sys.version_info; v < (3, 11) and sys.exit(1)
print(f"{v[0]}.{v[1]} {sys.base_prefix}")' 2>/dev/null); then
            version=${found%% *} prefix=${found#* }
            return
        fi
    done
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON does not run, or is older than 3.11."
    fail "Python 3.11 or newer is needed ($wanted is best): install it, or name one" \
        "with PYTHON=/path/to/python."
}

place() { [ "$1" = dev ] && echo ".venv/$version" || echo ".venv/$version-$1"; }

# What an environment is created from. It is taken before the installation and put in
# place after it: an interrupted installation has none, and a list that changes meanwhile
# is installed by the next command. An environment cannot be moved, so it has the folder.
stamp() { echo "$PWD $prefix"; cat "requirements/$1.txt"; }

missing() { # prints the environments that are missing or out of date
    for name in dev ministack ${ENVIRONMENTS:-}; do
        stamp "$name" | cmp -s - "$(place "$name")/installed" || echo "$name"
    done
}

pip() { # ARGUMENTS...: the pip of uv's environment
    .venv/uv/bin/python -m pip -qqq --disable-pip-version-check --no-input "$@"
}

# pip installs uv, since it knows this machine's index, and checks its hash.
get_uv() {
    cmp -s requirements/uv.txt .venv/uv/installed && .venv/uv/bin/python -c '' && return
    echo "  uv: requirements/uv.txt" >&2
    cp requirements/uv.txt .venv/uv.new
    "$python" -m venv --clear .venv/uv >&2 ||
        fail "On Debian and Ubuntu: apt install python$version-venv"
    pip install --require-hashes --only-binary=:all: -r .venv/uv.new
    mv .venv/uv.new .venv/uv/installed
}

# uv does not read pip's settings.
use_the_index_of_pip() {
    settings=$(.venv/uv/bin/python -m pip config list) || settings=
    export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$(setting index-url)}"
    export UV_INDEX="${UV_INDEX:-$(setting extra-index-url)}"
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}" # as pip does
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
}

setting() { # NAME: its value in a variable PIP_NAME or a pip.conf, the variable first
    echo "$settings" | sed -n "s/^[^.]*\.$1='\(.*\)'$/\1/p" | head -n 1
}

sync() { # NAME OPTION...; the hashes are checked, so any index is safe
    name=$1
    shift
    .venv/uv/bin/uv pip sync -q --require-hashes --only-binary=:all: \
        --python "$(place "$name")" "$@" "requirements/$name.txt"
}

install() { # NAME
    echo "  $(place "$1"): requirements/$1.txt" >&2
    stamp "$1" >.venv/stamp
    .venv/uv/bin/uv venv -q --no-cache --clear --python "$prefix/bin/python$version" \
        "$(place "$1")"
    # From the cache, without any request; or from the index; or by pip, which takes a
    # minute but knows proxies and logins that uv does not.
    sync "$1" --offline 2>/dev/null || sync "$1" ||
        pip --python "$(place "$1")/bin/python" install --require-hashes \
            --only-binary=:all: --no-deps -r "requirements/$1.txt"
    mv .venv/stamp "$(place "$1")/installed"
}

[ "$(uname)" = Linux ] ||
    fail "This needs Linux: the servers and Lambda's runtime are Linux programs."
find_python
for name in ${ENVIRONMENTS:-}; do
    [ -f "requirements/$name.txt" ] ||
        fail "ENVIRONMENTS names $name, but there is no requirements/$name.txt."
done
if [ -n "$(missing)" ] || [ -n "${WITH_UV:-}" ]; then
    began=$(date +%s)
    mkdir -p .venv
    exec 9>.venv/lock
    if ! flock --nonblock 9; then
        echo "Another command is installing; waiting for it ..." >&2
        flock 9
    fi
    get_uv
    use_the_index_of_pip
    names=$(missing)
    if [ -n "$names" ]; then
        echo "Installing below .venv ..." >&2
        for name in $names; do install "$name"; done
        echo "Installed in $(($(date +%s) - began)) s." >&2
    fi
    exec 9>&-
fi
environment=$PWD/.venv/$version
bin=$environment/bin
for name in ${ENVIRONMENTS:-}; do
    bin=$bin:$environment-$name/bin
done
PATH=$bin:$PATH${WITH_UV:+:$PWD/.venv/uv/bin}
PYTHON=$environment/bin/python # for nested `make` calls
export PATH PYTHON SAM_CLI_TELEMETRY=0
exec "$@"
