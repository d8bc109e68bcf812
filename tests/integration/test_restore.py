"""A database that was restored to an earlier moment, over a bucket that was not.

What docs/operations.md says of it under "Restoring the database" is shown here.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
import redis

from local.http import get
from tests.support.functions import age
from tests.support.gateway import get_retrieve, post_generate
from tests.support.template import read

HOUR_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
BODY = {"data": "https://example.com/restored"}


@pytest.fixture
def backup(database):
    """Keeps the table as it is at each call; the returned function restores it."""

    def back_up():
        database("DROP TABLE IF EXISTS backup")
        database("CREATE TABLE backup AS TABLE qr_codes")
        return restore

    def restore():
        database("TRUNCATE qr_codes")
        database("INSERT INTO qr_codes TABLE backup")

    yield back_up
    database("DROP TABLE IF EXISTS backup")


def make(functions, key=None):
    headers = {"Idempotency-Key": key} if key else None
    reply = post_generate(functions.generate, BODY, headers)
    assert reply.status == 201
    return reply


def forget_cached(servers):
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.flushall()


def image_status(reply):
    """What S3 answers to the URL of a retrieve."""
    return get(reply.body["qr_code"]).status


# --------------------------------------------------------- rows that come back


def test_a_code_that_lives_has_its_image(functions, database, bucket, servers, backup):
    qr_id = make(functions).body["qr_id"]
    restore = backup()
    functions.clean_up()
    restore()
    forget_cached(servers)
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert image_status(reply) == 200


def test_a_code_erased_since_is_still_410_and_is_erased_again(
    functions, database, bucket, servers, backup
):
    qr_id = make(functions).body["qr_id"]
    age(database, servers, qr_id, HOUR_AGO, cached=False)
    restore = backup()
    assert functions.clean_up()["erased"] == 1
    restore()
    assert bucket.keys() == set()
    assert database("SELECT data FROM qr_codes") == [(BODY["data"],)]
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    report = functions.clean_up()
    assert (report["erased"], report["failed"], report["remaining"]) == (1, 0, 0)
    assert database("SELECT data FROM qr_codes") == [(None,)]
    assert get_retrieve(functions.retrieve, qr_id).status == 410


def test_a_tombstone_purged_since_is_purged_again(
    functions, database, bucket, servers, backup
):
    qr_id = make(functions).body["qr_id"]
    age(database, servers, qr_id, HOUR_AGO, cached=False)
    functions.clean_up()
    database("UPDATE qr_codes SET erased_at = now() - interval '31 days'")
    restore = backup()
    assert functions.clean_up()["purged"] == 1
    assert get_retrieve(functions.retrieve, qr_id).status == 404
    restore()
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    assert functions.clean_up()["purged"] == 1
    forget_cached(servers)
    assert get_retrieve(functions.retrieve, qr_id).status == 404


def test_an_idempotency_key_that_comes_back_replays(
    functions, database, bucket, backup
):
    first = make(functions, key="a key of before the backup")
    backup()()
    again = make(functions, key="a key of before the backup")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body == first.body


# ------------------------------------------------------------ rows that are lost


def test_a_lost_code_lives_on_in_the_cache_and_is_404_without(
    functions, database, bucket, servers, backup
):
    restore = backup()
    qr_id = make(functions).body["qr_id"]
    restore()
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert image_status(reply) == 200
    forget_cached(servers)
    assert get_retrieve(functions.retrieve, qr_id).status == 404


def test_the_cache_forgets_a_lost_code_when_it_expires(
    functions, database, bucket, servers, backup
):
    restore = backup()
    qr_id = make(functions).body["qr_id"]
    restore()
    with redis.Redis(port=servers.valkey.port) as cache:
        forgotten_at = cache.expiretime(f"qr:{qr_id}")
    expires_at = datetime.now(UTC) + timedelta(hours=24)  # the default
    assert abs(forgotten_at - expires_at.timestamp()) < 60


def test_the_image_of_a_lost_code_is_left_to_the_lifecycle_rule(
    functions, database, bucket, backup
):
    restore = backup()
    qr_id = make(functions).body["qr_id"]
    restore()
    report = functions.clean_up()
    assert (report["erased"], report["failed"], report["remaining"]) == (0, 0, 0)
    assert bucket.keys() == {f"codes/{qr_id}.png"}


def test_a_lost_idempotency_key_makes_a_second_code(
    functions, database, bucket, backup
):
    restore = backup()
    first = make(functions, key="a key of after the backup")
    restore()
    second = make(functions, key="a key of after the backup")
    assert "idempotency-replayed" not in second.headers
    assert second.body["qr_id"] != first.body["qr_id"]


# ------------------------------------------------- an image that is gone by hand


def test_a_living_code_without_its_image_is_erased_in_its_time(
    functions, database, bucket, servers
):
    qr_id = make(functions).body["qr_id"]
    bucket.empty()
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert image_status(reply) >= 400
    age(database, servers, qr_id, HOUR_AGO, cached=False)
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    report = functions.clean_up()
    assert (report["erased"], report["failed"], report["remaining"]) == (1, 0, 0)


# ------------------------------------------------------- the page's own statements


def statements(heading):
    """The SQL that docs/operations.md gives below a heading."""
    section = read("docs/operations.md").split(f"\n### {heading}\n")[1]
    return re.findall(r"```sql\n(.*?)```", re.split(r"\n##+ ", section)[0], re.DOTALL)


def test_missing_rows_are_copied_from_a_restored_instance(
    functions, database, bucket, servers, backup
):
    """A bad DELETE: living codes come back, and nothing else changes."""
    kept = make(functions).body["qr_id"]
    lost = make(functions, key="a key that was lost").body["qr_id"]
    reused = make(functions, key="a key that was used again").body["qr_id"]
    expired, purged = (make(functions).body["qr_id"] for _ in range(2))
    for qr_id in (expired, purged):
        age(database, servers, qr_id, HOUR_AGO, cached=False)
    backup()  # which the restored instance is, as pg_dump brings it
    database("ALTER TABLE backup RENAME TO restored_codes")
    functions.clean_up()
    database("DELETE FROM qr_codes WHERE id IN (%s, %s, %s)", lost, reused, purged)
    again = make(functions, key="a key that was used again").body["qr_id"]
    for statement in statements("Copying rows from a restored instance"):
        for each in filter(str.strip, statement.split(";")):
            database(each)
    forget_cached(servers)
    found = {
        qr_id: get_retrieve(functions.retrieve, qr_id).status
        for qr_id in (kept, lost, reused, again, expired, purged)
    }
    assert {found.pop(qr_id) for qr_id in (kept, lost, reused, again)} == {200}
    assert found == {expired: 410, purged: 404}
    replayed = make(functions, key="a key that was lost")
    assert replayed.body["qr_id"] == lost
    assert make(functions, key="a key that was used again").body["qr_id"] == again
    assert database("SELECT data FROM qr_codes WHERE id = %s", expired) == [(None,)]
    assert database("SELECT to_regclass('restored_codes')") == [(None,)]


def test_a_code_is_taken_down_before_its_time(functions, database, bucket, servers):
    qr_id = make(functions).body["qr_id"]
    (statement,) = statements("Erasing one code before its time")
    database(statement.replace(":'id'", "%s"), qr_id)
    report = functions.clean_up()
    assert (report["erased"], report["failed"]) == (1, 0)
    assert bucket.keys() == set()
    assert database("SELECT data FROM qr_codes WHERE id = %s", qr_id) == [(None,)]
    cached = get_retrieve(functions.retrieve, qr_id)
    assert (cached.status, image_status(cached)) == (200, 404)
    forget_cached(servers)
    assert get_retrieve(functions.retrieve, qr_id).status == 410
