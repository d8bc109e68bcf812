"""Erasing a code clears all columns except those listed here, new columns included."""

import uuid

# All other columns must be NULL after the cleanup: they contain personal data, or
# say something about it.
KEPT = {"id", "created_at", "expires_at", "erased_at", "revision"}
KEPT |= {"slug", "expired_url"}  # of a dynamic code, whose image is on paper
VALUES = {
    "bytea": b"x",
    "boolean": True,
    "date": "2020-01-01",
    "integer": 1,
    "bigint": 1,
    "json": "{}",
    "jsonb": "{}",
    "text": "x",
    "timestamp with time zone": "2020-01-02",
}
SPECIAL_VALUES = {
    "id": str(uuid.uuid4()),
    "created_at": "2020-01-01",
    "object_key": "codes/filled.png",
    "slug": "7H3K9QWX",
    "erased_at": None,
}


def test_erasing_clears_every_column_except_those_listed(functions, database):
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
    known = {("qr_codes",), ("schema_migrations",), ("scans",)}
    assert set(database(tables, "public")) == known, (
        "a new table: show here what erasing a code leaves in it"
    )
    columns = dict(
        database(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = 'qr_codes' ORDER BY ordinal_position"
        )
    )
    values = {
        name: SPECIAL_VALUES.get(name, VALUES.get(kind))
        for name, kind in columns.items()
    }
    unfilled = {name for name, value in values.items() if value is None}
    assert unfilled == {"erased_at"}, "add a value for the new column's type to VALUES"
    places = ", ".join(["%s"] * len(values))
    database(
        f"INSERT INTO qr_codes ({', '.join(values)}) VALUES ({places})",
        *values.values(),
    )

    database(
        "INSERT INTO scans SELECT id, '2020-01-01', gen_random_uuid(), 1, 2"
        " FROM qr_codes"
    )

    assert functions.clean_up()["erased"] == 1

    assert database("SELECT * FROM scans") == []
    (row,) = database(f"SELECT {', '.join(columns)} FROM qr_codes")
    left = {name for name, value in zip(columns, row, strict=True) if value is not None}
    assert left == KEPT, (
        f"{sorted(left - KEPT)} are not erased: set them to NULL in forget(), in a"
        " migration, or add them to KEPT"
    )
