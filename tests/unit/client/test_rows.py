"""The rows of a CSV file, with the types that the OpenAPI document says."""

import json

import pytest
from qr_client.rows import BadTable, read

from local.project import FUNCTIONS

DOCUMENT = json.loads((FUNCTIONS / "pages/openapi.json").read_text())


@pytest.fixture
def table(tmp_path):
    """Return a function that reads a file with this text."""

    def write(text, *ignored, encoding="utf-8"):
        path = tmp_path / "codes.csv"
        path.write_bytes(text.encode(encoding))
        return read(path, DOCUMENT, ignored)

    return write


def items(table):
    return [row.item for row in table.rows]


def test_cells_have_the_types_of_their_fields(table):
    found = table(
        "data,expiration_hours,width,dynamic,label,error_correction\n"
        "17,0.5,400,TRUE,007,Q\n"
    )
    assert items(found) == [
        {
            "ref": "row 2",
            "data": "17",
            "expiration_hours": 0.5,
            "width": 400,
            "dynamic": True,
            "label": "007",
            "error_correction": "Q",
        }
    ]
    assert isinstance(items(found)[0]["width"], int)


@pytest.mark.parametrize("cell", ["", "1,5", "12 px", "nan", "inf", "1e999", "-"])
def test_a_cell_that_is_no_number_is_left_to_the_service(table, cell):
    (item,) = items(table(f'data,width,expiration_hours\nx,"{cell}","{cell}"\n'))
    expected = {"width": cell, "expiration_hours": cell} if cell else {}
    assert item == {"ref": "row 2", "data": "x", **expected}


def test_members_of_objects_have_the_types_of_their_variant(table):
    found = table(
        "content.type,content.ssid,content.hidden,content.latitude,content.longitude\n"
        "wifi,42,true,,\n"
        "geo,,,52.5,13\n"
    )
    wifi, geo = (item["content"] for item in items(found))
    assert wifi == {"type": "wifi", "ssid": "42", "hidden": True}
    assert geo == {"type": "geo", "latitude": 52.5, "longitude": 13.0}
    (item,) = items(table("data,gradient.type,gradient.to\nx,radial,#7A0026\n"))
    assert item["gradient"] == {"type": "radial", "to": "#7A0026"}


def test_names_are_those_of_the_column_or_the_numbers_of_the_rows(table):
    named = table("ref,data\nA 1,x\nB,y\n")
    assert [row.ref for row in named.rows] == ["A 1", "B"]
    numbered = table('data\n"two\nlines"\n\nx\n')
    assert [(row.number, row.ref) for row in numbered.rows] == [
        (2, "row 2"),
        (4, "row 4"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_that_of_the_head(table, delimiter):
    text = f"data{delimiter}label\nhttps://example.com/?a=1{delimiter}A\n"
    for encoding in ("utf-8", "utf-8-sig"):
        (item,) = items(table(text, encoding=encoding))
        assert item["label"] == "A"


def test_a_column_that_is_no_field_can_be_ignored(table):
    (item,) = items(table("data,customer\nx,Jane\n", "customer"))
    assert item == {"ref": "row 2", "data": "x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("data\n", "has no rows"),
        ("data,colour\nx,red\n", "Column 2, 'colour', is no field"),
        ("data,content\nx,y\n", "'content', is no field"),
        ("data,data\nx,y\n", "Two columns are named 'data'"),
        ("data\nx,y\n", "Row 2 has 2 cells"),
        ("ref,data\nA,x\nA,y\n", "Row 3, ref: 'A' is that of row 2"),
        ("ref,data\n,x\n", "Row 2, ref: 1 to 100 characters"),
        (f"ref,data\n{'r' * 101},x\n", "Row 2, ref: 1 to 100 characters"),
        ('data\n"x\n', "is not CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(table, text, words):
    with pytest.raises(BadTable, match=words):
        table(text)


def test_another_encoding_is_refused(table):
    with pytest.raises(BadTable, match="is not UTF-8"):
        table("data\nMünchen\n", encoding="latin-1")
