"""Tables of the documents, for the tests that compare them with the code."""

import re

from local.project import ROOT


def rows(document: str, first_column: str) -> list[list[str]]:
    """Return the rows, as cells, of the table whose first column has this name."""
    table = re.compile(
        rf"^\| {first_column} \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE
    )
    (lines,) = table.findall((ROOT / document).read_text())
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines.splitlines()
    ]


def quoted(cell: str) -> list[str]:
    """Return the parts of a cell that are in `backticks`."""
    return re.findall(r"`([^`]+)`", cell)
