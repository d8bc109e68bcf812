import pytest
from qr_service.stores.migrations import MigrationError, load


def write(folder, *names):
    for name in names:
        (folder / name).write_text("SELECT 1")


def test_migrations_are_loaded_in_order(tmp_path):
    write(tmp_path, "0002_second.sql", "0001_first.sql")
    assert [m.name for m in load(tmp_path)] == ["0001_first", "0002_second"]
    assert [m.version for m in load(tmp_path)] == [1, 2]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["0002_second.sql"],
        ["0001_first.sql", "0003_third.sql"],
        ["0001_first.sql", "0001_again.sql"],
        ["1_first.sql"],
        ["0001-first.sql"],
    ],
)
def test_gaps_duplicates_and_other_names_are_refused(tmp_path, names):
    write(tmp_path, *names)
    with pytest.raises(MigrationError):
        load(tmp_path)
