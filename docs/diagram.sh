#!/bin/sh
# Renders architecture.dot to architecture.svg with Debian's graphviz, and adds the
# checksum of the source, which tests/unit/test_diagram.py compares.
set -eu
cd "$(dirname "$0")"
sum=$(sha256sum architecture.dot | cut -d ' ' -f 1)
dot -Tsvg architecture.dot > architecture.svg
echo "<!-- architecture.dot $sum -->" >> architecture.svg
