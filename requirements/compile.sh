#!/bin/sh
# Writes the pinned lists, requirements/*.txt with hashes, from requirements/*.in. Existing
# versions are kept unless --upgrade is given. Run by `make requirements`.
#
# The environments serve Python 3.11 and newer on both processors; the layer is for the
# runtime's Python alone. Addresses are left out: installing checks the hashes, so any
# index is safe then. Here the index is trusted, and only pip's main one is used: an extra
# one may have some of the files.
set -eu
cd "$(dirname "$0")"
unset UV_INDEX

compile() { # NAME PYTHON OPTION...
    name=$1 python=$2
    shift 2
    echo "requirements/$name.txt" >&2
    uv pip compile --quiet --generate-hashes --no-annotate \
        --custom-compile-command "make requirements" --python-version "$python" \
        --output-file "$name.txt" "$name.in" "$@"
}

compile layer 3.13 "$@"
compile dev 3.11 --universal --constraints layer.txt "$@"
compile ministack 3.11 --universal "$@"
compile bench 3.11 --universal --constraints dev.txt "$@"
compile lambda 3.11 --universal "$@"
compile pipeline 3.11 --universal "$@"
compile checkov 3.11.5 --universal "$@"
compile fuzz 3.11 --universal --constraints layer.txt "$@"
compile uv 3.11 --universal "$@"
