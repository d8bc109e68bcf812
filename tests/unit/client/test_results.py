"""The results of a CSV file, which outlast the end of the process at any moment."""

import csv

import pytest
from qr_client.results import ADDED, Record, Results, escaped, unescaped
from qr_client.rows import BadTable, Row, Table

CELLS = (
    "=1+1",
    "+49 30 1",
    "-1",
    "@SUM(A1)",
    "'quoted",
    "\ttab",
    'two\nlines, "quoted"',
    "\u2028",
    "\nline",
    "\uff1d1+1",
    "München",
    "plain",
    "",
)


def table_of(*rows):
    each = [Row(n, cells, {"ref": f"row {n}"}) for n, cells in enumerate(rows, 2)]
    return Table(("data", "label"), ",", each)


TABLE = table_of(*[(cell, "label") for cell in CELLS])


def created(row):
    return Record(row, {"status": 201, "qr_id": f"id {row.number}"}, "image.png")


def refused(row):
    return Record(row, {"status": 400, "field": "data", "detail": "=wrong"})


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "codes.results.csv", TABLE)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_no_formula_and_can_be_read_again(cell):
    assert not escaped(cell).startswith(("=", "+", "-", "@", "\t", "\n", "\uff1d"))
    assert unescaped(escaped(cell)) == cell


def test_what_was_created_is_loaded_again(results):
    assert results.load() == []
    results.write([])
    results.append([created(row) for row in TABLE.rows[:6]])
    results.append([created(row) for row in TABLE.rows[6:]])
    loaded = results.load()
    assert [record.row for record in loaded] == TABLE.rows
    assert all(record.is_created for record in loaded)
    assert loaded[3].result["qr_id"] == "id 5"
    text = results.path.read_text()
    results.write(loaded)
    assert results.path.read_text() == text


def test_a_spreadsheet_reads_the_file(results):
    results.write([created(TABLE.rows[0]), refused(TABLE.rows[1])])
    with results.path.open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["data"], first["qr_id"], first["row"]) == ("'=1+1", "id 2", "2")
    assert (second["status"], second["detail"]) == ("400", "'=wrong")


def test_refused_rows_are_sent_again(results):
    results.write([created(TABLE.rows[0]), refused(TABLE.rows[1])])
    assert [record.row.number for record in results.load()] == [2]


def test_a_half_written_line_does_not_count(results):
    results.write([created(TABLE.rows[0])])
    whole = results.path.read_bytes()
    results.append([created(row) for row in TABLE.rows[1:]])
    text = results.path.read_bytes()
    counts = []
    for end in range(len(whole), len(text) + 1):
        results.path.write_bytes(text[:end])
        loaded = results.load()
        assert [record.row for record in loaded] == TABLE.rows[: len(loaded)]
        counts.append(len(loaded))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, len(TABLE.rows))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (table_of(("changed", "label")), "has a code of 'row 2'"),
        (table_of(), "has a code of 'row 2'"),
        (Table(("data",), ",", []), "has results of other columns"),
    ],
)
def test_results_of_other_rows_are_refused(results, other, words):
    results.write([created(TABLE.rows[0])])
    with pytest.raises(BadTable, match=words):
        Results(results.path, other).load()


def test_the_key_stays_the_same(results):
    assert Results(results.path, TABLE).key() == results.key()
    results.key_file.unlink()
    assert results.key() == Results(results.path, TABLE).key()


def test_every_member_of_the_results_has_a_column():
    assert len(set(ADDED)) == len(ADDED)
    cells = created(TABLE.rows[0]).cells()
    assert len(cells) == len(TABLE.columns) + len(ADDED)
