"""README.md's tables, for the tests that compare them with what the code does."""

import re

from local.project import ROOT

README = ROOT / "README.md"


def rows(first_column: str) -> list[list[str]]:
    """The rows, as their cells, of the one table whose first column is called so."""
    table = re.compile(
        rf"^\| {first_column} \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE
    )
    (lines,) = table.findall(README.read_text())
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines.splitlines()
    ]


def quoted(cell: str) -> list[str]:
    """What a cell holds in `backticks`."""
    return re.findall(r"`([^`]+)`", cell)
