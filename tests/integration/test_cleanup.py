"""Cleanup of expired codes: it deletes the image, then the data, then the row."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from qr_service.cleanup import Cleaner, Report
from qr_service.config import settings
from qr_service.edge import events
from qr_service.stores.bulk import BulkStorage
from qr_service.stores.database import Database
from qr_service.stores.table import CodeTable
from qr_service.sweep import SweepReport

from tests.support.functions import age
from tests.support.gateway import get_retrieve, post_generate

HOUR_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def expired(database, bucket):
    """Return a function that stores expired codes with images and returns their ids."""

    def create(count):
        ids = [str(uuid.uuid4()) for _ in range(count)]
        for qr_id in ids:
            bucket.put(f"codes/{qr_id}.png")
            database(
                "INSERT INTO qr_codes (id, owner, data, options, object_key,"
                " content_type, created_at, expires_at) VALUES (%s, 'anonymous',"
                " 'expired payload', '{}', %s, 'image/png', '2020-01-01', %s)",
                qr_id,
                f"codes/{qr_id}.png",
                HOUR_AGO,
            )
        return ids

    return create


class RefusingDeletion(BulkStorage):
    """Deletion from an S3 that refuses to delete some objects."""

    refused: frozenset[str] = frozenset()

    def delete(self, keys):
        wanted = set(keys)
        return super().delete(wanted - self.refused) if wanted - self.refused else set()


def cleaner(deletion=None, batch=1000):
    table = CodeTable(Database(settings()))
    return Cleaner(table, deletion or BulkStorage(settings()), 30, batch)


def an_hour():
    return 3600.0


def with_backlog(report):
    """Return a report with the backlog of codes that expired at HOUR_AGO.

    Call it right after the run, because the backlog grows every second.
    """
    waited = int((datetime.now(UTC) - HOUR_AGO).total_seconds())
    return replace(report, backlog_seconds=pytest.approx(waited, abs=10))


def test_image_and_data_are_erased_and_the_code_stays_410(
    functions, database, bucket, servers
):
    reply = post_generate(
        functions.generate,
        {"data": "https://example.com/soon-gone"},
        {"Idempotency-Key": "a key to be erased"},
    )
    qr_id = reply.body["qr_id"]
    age(database, servers, qr_id, HOUR_AGO, cached=False)
    report = functions.clean_up()
    assert report.pop("sweep").keys() == asdict(SweepReport()).keys()
    assert report == {**asdict(Report(erased=1)), "flushed": 0}
    assert bucket.keys() == set()
    (row,) = database("SELECT * FROM qr_codes")
    kept = [value for value in row if value is not None]
    assert len(kept) == 5, "id, created_at, expires_at, erased_at and revision"
    for _ in range(2):  # from the database, then from the cache
        gone = get_retrieve(functions.retrieve, qr_id)
        assert gone.status == 410
        assert gone.body["expired_at"] == HOUR_AGO.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert functions.clean_up()["erased"] == 0


def test_a_code_that_has_not_expired_is_not_erased(functions, database, bucket):
    qr_id = post_generate(functions.generate, {"data": "alive"}).body["qr_id"]
    assert functions.clean_up()["erased"] == 0
    assert get_retrieve(functions.retrieve, qr_id).status == 200
    assert bucket.keys() == {f"codes/{qr_id}.png"}


def test_one_run_processes_all_batches(functions, expired, bucket, database):
    expired(25)
    report = cleaner(batch=10).clean_up(an_hour)
    assert report == Report(erased=25, failed=0, purged=0, remaining=0)
    assert bucket.keys() == set()


def test_an_undeletable_object_is_tried_once_and_blocks_no_other(
    functions, expired, bucket, database
):
    ids = sorted(expired(12))
    deletion = RefusingDeletion(settings())
    deletion.refused = frozenset(f"codes/{qr_id}.png" for qr_id in ids[:6])
    report = cleaner(deletion, batch=3).clean_up(an_hour)
    assert report == with_backlog(Report(erased=6, failed=6, purged=0, remaining=6))
    assert bucket.keys() == deletion.refused
    rows = database("SELECT id FROM qr_codes WHERE data IS NOT NULL ORDER BY id")
    assert [qr_id for (qr_id,) in rows] == ids[:6]
    assert cleaner().clean_up(an_hour).erased == 6


def test_a_run_stops_in_time_and_reports_what_remains(functions, expired, database):
    expired(9)
    clock = iter([100.0, 31.0, 30.0, 29.0, 28.0])
    report = cleaner(batch=3).clean_up(lambda: next(clock))
    assert report == with_backlog(Report(erased=6, failed=0, purged=0, remaining=3))


def test_a_run_without_time_erases_nothing(functions, expired, database):
    expired(1)
    assert functions.clean_up(seconds=30)["remaining"] == 1


def test_the_oldest_remaining_code_sets_the_age_of_the_backlog(
    functions, expired, database, capsys
):
    oldest, _, _ = sorted(expired(3))
    database(
        "UPDATE qr_codes SET expires_at = expires_at - interval '1 day' WHERE id = %s",
        oldest,
    )
    waited = (datetime.now(UTC) - HOUR_AGO).total_seconds() + 24 * 3600
    report = functions.clean_up(seconds=30)
    assert waited - 1 <= report["backlog_seconds"] < waited + 10
    (metric,) = metrics(capsys, "CleanupBacklogSeconds")
    assert metric == [report["backlog_seconds"]]
    functions.clean_up()
    assert metrics(capsys, "CleanupBacklogSeconds") == [[0]]


def metrics(capsys, name):
    """Return the values of a metric that were printed since the last call."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line[name] for line in lines if name in line]


def test_two_simultaneous_runs_share_the_work(functions, expired, bucket, database):
    expired(60)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(cleaner(batch=7).clean_up, an_hour) for _ in range(2)]
        reports = [run.result() for run in runs]
    assert sum(report.erased for report in reports) == 60
    assert bucket.keys() == set()


def test_rows_that_another_run_has_locked_are_skipped(
    functions, expired, servers, database
):
    held, _ = expired(2)
    connection = psycopg2.connect(servers.postgresql.url("qr_admin"))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM qr_codes WHERE id = %s FOR UPDATE", (held,))
            report = functions.clean_up()
    finally:
        connection.close()
    assert (report["erased"], report["remaining"]) == (1, 1)
    assert database("SELECT id FROM qr_codes WHERE data IS NOT NULL") == [(held,)]


def test_a_crash_before_the_commit_leaves_the_work_for_the_next_run(
    functions, expired, bucket, database
):
    expired(5)

    class Crash(Exception):
        pass

    class CrashingTable(CodeTable):
        @staticmethod
        def erase(cursor, ids):
            raise Crash

    table = CrashingTable(Database(settings()))
    crashing = Cleaner(table, BulkStorage(settings()), 30)
    with pytest.raises(Crash):
        crashing.clean_up(an_hour)
    assert bucket.keys() == set()
    assert database("SELECT count(*) FROM qr_codes WHERE data IS NULL") == [(0,)]
    assert cleaner().clean_up(an_hour) == Report(erased=5)


def test_unavailable_storage_fails_the_run_and_loses_nothing(
    functions, expired, servers, database, monkeypatch, bucket
):
    expired(2)
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(events.InvocationFailed, match="StorageUnavailable"):
        functions.clean_up()
    assert database("SELECT count(*) FROM qr_codes WHERE data IS NULL") == [(0,)]
    assert len(bucket.keys()) == 2


def test_a_tombstone_is_purged_after_its_retention_period(functions, expired, database):
    old, young = expired(2)
    functions.clean_up()
    for qr_id, days in ((old, 31), (young, 29)):
        database(
            "UPDATE qr_codes SET erased_at = now() - make_interval(days => %s)"
            " WHERE id = %s",
            days,
            qr_id,
        )
    assert functions.clean_up()["purged"] == 1
    assert get_retrieve(functions.retrieve, old).status == 404
    assert get_retrieve(functions.retrieve, young).status == 410
