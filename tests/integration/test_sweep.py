"""The sweep: images without a row go after a day, and nothing else ever does."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from qr_service.config import settings
from qr_service.edge import events
from qr_service.errors import StorageUnavailable
from qr_service.stores.bulk import BulkStorage, Page
from qr_service.stores.database import Database
from qr_service.stores.table import CodeTable
from qr_service.sweep import SLICES, Sweeper, SweepReport

from tests.support.gateway import Context, post_generate

FEW = SLICES[:4]
IMAGES = [uuid.UUID(int=number % 4 << 120 | number) for number in range(1, 40)]


class Later(BulkStorage):
    """A bucket whose clock is ahead, so that every object is old."""

    ahead = timedelta(days=2)

    def page(self, prefix, after):
        found = super().page(prefix, after)
        return Page(found.stored_at, found.now + self.ahead, found.is_last)


class SmallPages(Later):
    """The same, with pages of three objects."""

    def page(self, prefix, after):
        found = super().page(prefix, after)
        first = dict(list(found.stored_at.items())[:3])
        is_last = found.is_last and len(first) == len(found.stored_at)
        return Page(first, found.now, is_last)


@pytest.fixture
def row(database):
    """Return a function that inserts the row of a code, and returns its key."""

    def insert(qr_id, *, created="2020-01-01", expires="2100-01-01", suffix="png"):
        key = f"codes/{qr_id}.{suffix}"
        database(
            "INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,"
            " created_at, expires_at) VALUES (%s, 'a', 'text', '{}', %s, 'image/png',"
            " %s, %s)",
            str(qr_id),
            key,
            created,
            expires,
        )
        return key

    return insert


def sweep(bulk=Later, page=1000, slices=FEW, **options):
    sweeper = Sweeper(CodeTable(Database(settings())), bulk(settings()), page)
    return sweeper.sweep(slices, lambda: True, **options)


def key_of(qr_id):
    return f"codes/{qr_id}.png"


@pytest.mark.parametrize(("bulk", "page"), [(Later, 1000), (SmallPages, 2)])
def test_what_is_alone_on_either_side_is_found(functions, row, bucket, bulk, page):
    both, orphans, missing = IMAGES[0::3], IMAGES[1::3], IMAGES[2::3]
    for qr_id in [*both, *orphans]:
        bucket.put(key_of(qr_id))
    for qr_id in [*both, *missing]:
        row(qr_id)
    report = sweep(bulk, page)
    assert report == SweepReport(objects=26, orphans=13, deleted=13, missing=13)
    assert bucket.keys() == {key_of(qr_id) for qr_id in both}
    assert sweep(bulk, page) == SweepReport(objects=13, missing=13)


def test_an_object_of_the_last_day_is_not_deleted(functions, row, bucket):
    row(IMAGES[0])
    bucket.put(key_of(IMAGES[1]))
    assert sweep(BulkStorage) == SweepReport(objects=1, missing=1)
    assert bucket.keys() == {key_of(IMAGES[1])}


def test_expired_and_new_codes_without_an_image_are_not_missing(functions, row, bucket):
    row(IMAGES[0], expires="2020-02-01")
    row(IMAGES[1], created=datetime.now(UTC) - timedelta(hours=23))
    assert sweep() == SweepReport()


def test_an_image_of_an_expired_code_is_left_to_the_cleanup(functions, row, bucket):
    bucket.put(row(IMAGES[0], expires="2020-02-01"))
    assert sweep() == SweepReport(objects=1)


def test_an_image_of_a_tombstone_is_an_orphan(functions, row, bucket, database):
    bucket.put(row(IMAGES[0], expires="2020-02-01"))
    with Database(settings()).transaction() as cursor:
        CodeTable.erase(cursor, [str(IMAGES[0])])
    assert sweep().deleted == 1
    assert bucket.keys() == set()


def test_objects_with_other_names_stay(functions, row, bucket):
    row(IMAGES[0], expires="2020-02-01")
    others = {"other/1.png", "codes/readme.txt", "codes/00/x.png", "codes/0"}
    for key in others:
        bucket.put(key)
    assert sweep() == SweepReport()
    assert bucket.keys() == others


def test_an_empty_table_deletes_nothing_and_rings(functions, database, bucket, log):
    bucket.put(key_of(IMAGES[0]))
    assert sweep() == SweepReport(objects=1, orphans=1, refused=1)
    assert len(bucket.keys()) == 1
    (line,) = [line for line in log() if line["message"] == "orphans not deleted"]
    assert (line["slice"], line["count"]) == ("01", 1)


@pytest.mark.parametrize("prefixes", [FEW[:1], FEW])
def test_a_foreign_table_deletes_nothing_but_by_request(
    functions, row, bucket, prefixes
):
    """In one slice or in many: too few objects of a slice show it by themselves."""
    row(uuid.UUID(int=500))
    count = 104
    for number in range(count):
        qr_id = uuid.UUID(int=number).hex
        bucket.put(key_of(uuid.UUID(prefixes[number % len(prefixes)] + qr_id[2:])))
    report = sweep()
    assert (report.orphans, report.refused, report.deleted) == (count, count, 0)
    assert len(bucket.keys()) == count
    assert sweep(guarded=False).deleted == count
    assert bucket.keys() == set()


def test_a_hundred_orphans_are_not_suspicious(functions, row, bucket):
    row(IMAGES[0])
    for number in range(100):
        bucket.put(key_of(uuid.UUID(int=number + 1)))
    assert sweep().deleted == 100


def test_a_code_created_between_listing_and_reading_stays(functions, row, bucket):
    row(IMAGES[1], expires="2020-02-01")

    class Creating(Later):
        def page(self, prefix, after):
            found = super().page(prefix, after)
            if prefix == "codes/01" and not after:
                bucket.put(row(IMAGES[0], created=datetime.now(UTC)))
            return found

    assert sweep(Creating) == SweepReport()
    assert bucket.keys() == {key_of(IMAGES[0])}


def test_a_sweep_that_is_killed_before_any_page_is_completed_by_the_next(
    functions, row, bucket
):
    class Killed(BaseException):
        pass

    class Killing(SmallPages):
        left = 0

        def page(self, prefix, after):
            if not self.left:
                raise Killed
            self.left -= 1
            return super().page(prefix, after)

    kept = {row(qr_id) for qr_id in IMAGES[::2]}
    for qr_id in IMAGES:
        bucket.put(key_of(qr_id))
    killed = 0
    while True:
        Killing.left = killed
        try:
            report = sweep(Killing)
        except Killed:
            assert kept <= bucket.keys()
            killed += 1
        else:
            break
    assert killed > len(FEW)
    assert bucket.keys() == kept
    assert (report.missing, report.next) == (0, None)


def test_a_sweep_without_time_reports_where_to_go_on(functions, database):
    sweeper = Sweeper(CodeTable(Database(settings())), Later(settings()))
    turns = iter([True] * 5 + [False])
    report = sweeper.sweep(SLICES, lambda: next(turns))
    assert report.next == SLICES[4]  # one turn is for the guard


def test_failed_storage_fails_the_run(functions, row, monkeypatch):
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    with pytest.raises(StorageUnavailable):
        sweep()


def test_the_cleanup_ends_with_one_slice_or_those_named(
    functions, database, bucket, capsys
):
    key = post_generate(functions.generate, {"data": "swept"}).body["qr_id"][:2]
    assert functions.clean_up()["sweep"]["objects"] in (0, 1)
    for event in ({"sweep": "all"}, {"sweep": key}):
        report = functions.cleanup(event, Context(60))["sweep"]
        assert (report["objects"], report["next"]) == (1, None)
    with pytest.raises(events.InvocationFailed, match="00 to ff"):
        functions.cleanup({"sweep": "5A"}, Context(60))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [0] in [line.get("ImagesMissing") for line in lines]
