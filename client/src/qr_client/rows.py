"""The rows of a CSV file: each is an item of a batch, its columns are fields.

A column is named after a field, `content.ssid` after one of an object. What type a
field has is what the service's OpenAPI document says.
"""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from qr_client.api import Fields

REF = "ref"
MOST_REF = 100  # characters


class BadTable(Exception):
    """A file that is no table of codes."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its number as in a spreadsheet, its cells, and the item that it is."""

    number: int
    cells: tuple[str, ...]
    item: Fields

    @property
    def ref(self) -> str:
        """The name of the item."""
        return str(self.item[REF])


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file, its delimiter, and its rows."""

    columns: tuple[str, ...]
    delimiter: str
    rows: list[Row]


def read(path: Path, document: Fields, ignored: Sequence[str] = ()) -> Table:
    """Return the rows of a file, without empty ones; raises BadTable and OSError.

    A row without a column `ref` has its number as its name.
    """
    schemas = document["components"]["schemas"]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            lines = list(csv.reader(file, delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        raise BadTable(f"{path} is not UTF-8: save it as 'CSV UTF-8'.") from None
    except csv.Error as error:
        raise BadTable(f"{path} is not CSV: {error}.") from None
    if not lines:
        raise BadTable(f"{path} is empty.")
    columns = tuple(name.strip() for name in lines[0])
    _check_columns(columns, set(ignored), schemas)
    rows = [
        _row(number, columns, tuple(cells), set(ignored), schemas)
        for number, cells in enumerate(lines[1:], 2)
        if any(cells)
    ]
    if not rows:
        raise BadTable(f"{path} has no rows below its head.")
    _check_refs(rows)
    return Table(columns, delimiter, rows)


def _delimiter(head: str) -> str:
    """Return what separates the columns; spreadsheets of some countries write `;`."""
    return max(",;\t", key=head.count)


def _check_columns(
    columns: tuple[str, ...], ignored: set[str], schemas: Fields
) -> None:
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise BadTable(f"Two columns are named {twice[0]!r}.")
    known = {REF, *_names(schemas)}
    for number, name in enumerate(columns, 1):
        if name not in known | ignored:
            raise BadTable(
                f"Column {number}, {name!r}, is no field. Fields are "
                f"{', '.join(sorted(known))}. To leave it out: --ignore {name!r}"
            )


def _names(schemas: Fields) -> set[str]:
    """Return the names that a column may have."""
    found = set()
    for name, schema in schemas["GenerateRequest"]["properties"].items():
        inner = [schema, *schema.get("oneOf", [])]
        members = [each for one in inner for each in one.get("properties", {})]
        found |= {f"{name}.{each}" for each in members} or {name}
    return found


def _row(
    number: int,
    columns: tuple[str, ...],
    cells: tuple[str, ...],
    ignored: set[str],
    schemas: Fields,
) -> Row:
    if len(cells) > len(columns):
        raise BadTable(f"Row {number} has {len(cells)} cells, more than the head.")
    cells += ("",) * (len(columns) - len(cells))
    given = {
        name: cell
        for name, cell in zip(columns, cells, strict=True)
        if cell and name not in ignored
    }
    ref = given.pop(REF, "" if REF in columns else f"row {number}")
    item: Fields = {REF: ref}
    for name, cell in given.items():
        outer, _, inner = name.partition(".")
        schema = schemas["GenerateRequest"]["properties"][outer]
        if inner:
            kind = given.get(f"{outer}.type", "")
            item.setdefault(outer, {})[inner] = _value(
                cell, _member(schema, kind, inner)
            )
        else:
            item[outer] = _value(cell, schema)
    return Row(number, cells, item)


def _member(schema: Fields, kind: str, name: str) -> Fields:
    """Return the schema of a member, of the variant of this type if there are some."""
    for variant in schema.get("oneOf", [schema]):
        properties: Fields = variant["properties"]
        if "oneOf" in schema and properties["type"].get("const") != kind:
            continue
        found: Fields = properties.get(name, {})
        return found
    return {}


def _value(cell: str, schema: Fields) -> Any:
    """Return what a cell means; what means nothing is left to the service."""
    read: dict[str, Callable[[str], Any]] = {
        "integer": int,
        "number": _finite,
        "boolean": {"true": True, "false": False}.__getitem__,
    }
    kind = schema.get("type")
    if kind not in read:
        return cell
    try:
        return read[kind](cell.strip().lower())
    except (ValueError, KeyError):
        return cell


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _check_refs(rows: list[Row]) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        if not 1 <= len(row.ref) <= MOST_REF:
            raise BadTable(f"Row {row.number}, ref: 1 to {MOST_REF} characters.")
        if row.ref in seen:
            raise BadTable(
                f"Row {row.number}, ref: {row.ref!r} is that of row {seen[row.ref]}."
            )
        seen[row.ref] = row.number
