"""The results: a second CSV file, in which a run that was ended goes on.

It has the cells of the rows, and what became of them. A spreadsheet runs a cell that
begins like a formula, so such a cell has an apostrophe in front.
"""

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from qr_client.api import Fields
from qr_client.rows import BadTable, Row, Table

ADDED = (
    "row",
    "name",
    "status",
    "qr_id",
    "expires_at",
    "short_url",
    "image",
    "code",
    "field",
    "detail",
)
CREATED = "201"
_FORMULA = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")  # also the wide ones
_MARK = "\ufeff"  # by which spreadsheets know UTF-8


def escaped(cell: str) -> str:
    """Return a cell that no spreadsheet runs."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def unescaped(cell: str) -> str:
    """Return the cell of which `escaped` made this one."""
    return cell.removeprefix("'")


@dataclass(frozen=True, slots=True)
class Record:
    """A row with what became of it: the members of its result, and its image's file."""

    row: Row
    result: Fields
    image: str = ""

    @property
    def is_created(self) -> bool:
        """Whether there is a code."""
        return str(self.result["status"]) == CREATED

    def cells(self) -> list[str]:
        """Return the line of the results, unescaped."""
        known = {
            **self.result,
            "row": self.row.number,
            "name": self.row.ref,
            "image": self.image,
        }
        return [*self.row.cells, *(str(known.get(name, "")) for name in ADDED)]


class Results:
    """The file of the results of a table, and beside it the Idempotency-Key."""

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self.table = table
        self.key_file = path.with_name(f"{path.name}.key")

    def key(self) -> str:
        """Return the Idempotency-Key of all runs, stored before the first request."""
        if not self.key_file.exists():
            _replace(self.key_file, f"{uuid4()}\n")
        return self.key_file.read_text().strip()

    def load(self) -> list[Record]:
        """Return the codes that exist; what is half-written does not.

        Raises BadTable if the file is that of other rows.
        """
        if not self.path.exists():
            return []
        width = len(self.table.columns) + len(ADDED)
        rows = {row.ref: row for row in self.table.rows}
        records = []
        # The end may be half a letter, in a line that does not count.
        text = self.path.read_bytes().decode("utf-8-sig", errors="replace")
        for cells in _whole_lines(text, self.table.delimiter)[1:]:
            if len(cells) != width:
                raise BadTable(f"{self.path} has results of other columns.")
            plain = [unescaped(cell) for cell in cells]
            added = dict(zip(ADDED, plain[-len(ADDED) :], strict=True))
            if added["status"] != CREATED:
                continue
            row = rows.get(added["name"])
            if row is None or row.cells != tuple(plain[: -len(ADDED)]):
                raise BadTable(
                    f"{self.path} has a code of {added['name']!r}, which the table no "
                    "longer has, or with other cells. Give a changed row another ref, "
                    "or the results another --output."
                )
            records.append(Record(row, added, added["image"]))
        return records

    def write(self, records: Iterable[Record]) -> None:
        """Write all anew, in the order of the rows, or leave what is there."""
        ordered = sorted(records, key=lambda record: record.row.number)
        head = [[*self.table.columns, *ADDED]]
        cells = [record.cells() for record in ordered]
        _replace(self.path, _MARK + self._text([*head, *cells]))

    def append(self, records: Iterable[Record]) -> None:
        """Add some, which are on the disk when this returns."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(self._text([record.cells() for record in records]))
            file.flush()
            os.fsync(file.fileno())

    def _text(self, lines: list[list[str]]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.table.delimiter)
        writer.writerows([escaped(cell) for cell in line] for line in lines)
        return text.getvalue()


def _whole_lines(text: str, delimiter: str) -> list[list[str]]:
    """Return the lines of which all was written: a killed process may leave half."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    found = []
    try:
        for cells in reader:
            if not lines[reader.line_num - 1].endswith("\n"):
                break
            found.append(cells)
    except csv.Error:  # it ends within quotation marks
        pass
    return found


def _replace(path: Path, text: str) -> None:
    """Write a file, of which there is all or nothing after a crash."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
