"""A database restored to an earlier time, with a bucket that was not restored.

These tests prove what docs/operations.md says under "Restoring the database".
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
    """Yield a function that backs the table up and returns one that restores it."""

    def back_up():
        database("DROP TABLE IF EXISTS backup")
        database("CREATE TABLE backup AS TABLE qr_codes")
        return restore

    def restore():
        database("TRUNCATE qr_codes, scans")
        database("INSERT INTO qr_codes TABLE backup")

    yield back_up
    database("DROP TABLE IF EXISTS backup")


def create(functions, key=None):
    headers = {"Idempotency-Key": key} if key else None
    reply = post_generate(functions.generate, BODY, headers)
    assert reply.status == 201
    return reply


def clear_cache(servers):
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.flushall()


def image_status(reply):
    """Return S3's status code for the image URL of a reply."""
    return get(reply.body["qr_code"]).status


# -------------------------------------------------------- rows that are restored


def test_an_unexpired_code_still_has_its_image(
    functions, database, bucket, servers, backup
):
    qr_id = create(functions).body["qr_id"]
    restore = backup()
    functions.clean_up()
    restore()
    clear_cache(servers)
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert image_status(reply) == 200


def test_a_code_erased_since_the_backup_is_410_and_erased_again(
    functions, database, bucket, servers, backup
):
    qr_id = create(functions).body["qr_id"]
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


def test_a_tombstone_purged_since_the_backup_is_purged_again(
    functions, database, bucket, servers, backup
):
    qr_id = create(functions).body["qr_id"]
    age(database, servers, qr_id, HOUR_AGO, cached=False)
    functions.clean_up()
    database("UPDATE qr_codes SET erased_at = now() - interval '31 days'")
    restore = backup()
    assert functions.clean_up()["purged"] == 1
    assert get_retrieve(functions.retrieve, qr_id).status == 404
    restore()
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    assert functions.clean_up()["purged"] == 1
    clear_cache(servers)
    assert get_retrieve(functions.retrieve, qr_id).status == 404


def test_a_restored_idempotency_key_replays_its_answer(
    functions, database, bucket, backup
):
    first = create(functions, key="a key from before the backup")
    backup()()
    again = create(functions, key="a key from before the backup")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.body == first.body


# ------------------------------------------------------------ rows that are lost


def test_a_lost_code_is_served_by_the_cache_and_404_without_it(
    functions, database, bucket, servers, backup
):
    restore = backup()
    qr_id = create(functions).body["qr_id"]
    restore()
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert image_status(reply) == 200
    clear_cache(servers)
    assert get_retrieve(functions.retrieve, qr_id).status == 404


def test_the_cache_drops_a_lost_code_when_it_expires(
    functions, database, bucket, servers, backup
):
    restore = backup()
    qr_id = create(functions).body["qr_id"]
    restore()
    with redis.Redis(port=servers.valkey.port) as cache:
        dropped_at = cache.expiretime(f"qr:{qr_id}")
    expires_at = datetime.now(UTC) + timedelta(hours=24)  # the default
    assert abs(dropped_at - expires_at.timestamp()) < 60


def test_the_image_of_a_lost_code_is_left_to_the_sweep(
    functions, database, bucket, backup
):
    restore = backup()
    qr_id = create(functions).body["qr_id"]
    restore()
    report = functions.clean_up()
    assert (report["erased"], report["failed"], report["remaining"]) == (0, 0, 0)
    assert bucket.keys() == {f"codes/{qr_id}.png"}


def test_a_lost_idempotency_key_creates_a_second_code(
    functions, database, bucket, backup
):
    restore = backup()
    first = create(functions, key="a key from after the backup")
    restore()
    second = create(functions, key="a key from after the backup")
    assert "idempotency-replayed" not in second.headers
    assert second.body["qr_id"] != first.body["qr_id"]


# ------------------------------------------------- an image that somebody deleted


def test_a_code_without_its_image_is_erased_after_it_expires(
    functions, database, bucket, servers
):
    qr_id = create(functions).body["qr_id"]
    bucket.empty()
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert image_status(reply) >= 400
    age(database, servers, qr_id, HOUR_AGO, cached=False)
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    report = functions.clean_up()
    assert (report["erased"], report["failed"], report["remaining"]) == (1, 0, 0)


# ------------------------------------------------ the statements of operations.md


def statements(heading):
    """Return the SQL below a heading of docs/operations.md."""
    section = read("docs/operations.md").split(f"\n### {heading}\n")[1]
    return re.findall(r"```sql\n(.*?)```", re.split(r"\n##+ ", section)[0], re.DOTALL)


def test_the_steps_after_a_restore(functions, database, bucket, servers, backup):
    """Codes whose end was moved come back; those that are gone are listed and ended."""
    living, moved, ended, no_image, purged = (
        create(functions).body["qr_id"] for _ in range(5)
    )
    for qr_id in (moved, ended, purged):
        age(database, servers, qr_id, HOUR_AGO, cached=False)
    moment = HOUR_AGO - timedelta(minutes=1)
    database("UPDATE qr_codes SET created_at = %s - interval '1 hour'", moment)
    # One had ended before the moment, and was not erased yet.
    database(
        "UPDATE qr_codes SET expires_at = %s - interval '1 second' WHERE id = %s",
        *(moment, purged),
    )
    restore = backup()
    # Since then the end of one was moved; a cleanup ran; an image was deleted by hand.
    database(
        "UPDATE qr_codes SET expires_at = now() + interval '1 day' WHERE id = %s", moved
    )
    assert functions.clean_up()["erased"] == 2
    bucket.delete(f"codes/{no_image}.png")
    restore()
    created = create(functions).body["qr_id"]
    listed = bucket.keys() - {f"codes/{created}.png"}

    seven_days, report, end = statements("Restoring the database")
    run(database, seven_days, moment)
    database("CREATE TABLE listed_keys (object_key text PRIMARY KEY)")
    for key in listed:
        database("INSERT INTO listed_keys VALUES (%s)", key)
    found = run(database, report, moment)
    assert {qr_id for qr_id, _, _ in found} == {ended, no_image}
    run(database, end, moment)
    assert functions.clean_up()["erased"] == 3
    clear_cache(servers)

    for qr_id in (living, moved, created):
        reply = get_retrieve(functions.retrieve, qr_id)
        assert (reply.status, image_status(reply)) == (200, 200)
    for qr_id in (ended, no_image, purged):
        assert get_retrieve(functions.retrieve, qr_id).status == 410
    ((left,),) = database(
        "SELECT expires_at - now() FROM qr_codes WHERE id = %s", moved
    )
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert database("SELECT to_regclass('listed_keys')") == [(None,)]


def run(database, text, moment):
    """Run the statements of a block, as psql would; return the last one's rows."""
    for statement in filter(str.strip, text.split(";")):
        literal = f"'{moment.isoformat()}'"
        rows = database(statement.replace(":'moment'", literal))
    return rows


def test_missing_rows_are_copied_from_a_restored_instance(
    functions, database, bucket, servers, backup
):
    """Undo a bad DELETE: living codes are restored, and nothing else changes."""
    kept = create(functions).body["qr_id"]
    lost = create(functions, key="a key that was lost").body["qr_id"]
    reused = create(functions, key="a key that was used again").body["qr_id"]
    expired, purged = (create(functions).body["qr_id"] for _ in range(2))
    for qr_id in (expired, purged):
        age(database, servers, qr_id, HOUR_AGO, cached=False)
    backup()  # stands for the rows that pg_dump copies from the restored instance
    database("ALTER TABLE backup RENAME TO restored_codes")
    functions.clean_up()
    database("DELETE FROM qr_codes WHERE id IN (%s, %s, %s)", lost, reused, purged)
    again = create(functions, key="a key that was used again").body["qr_id"]
    for statement in statements("Copying rows from a restored instance"):
        for each in filter(str.strip, statement.split(";")):
            database(each)
    clear_cache(servers)
    found = {
        qr_id: get_retrieve(functions.retrieve, qr_id).status
        for qr_id in (kept, lost, reused, again, expired, purged)
    }
    assert {found.pop(qr_id) for qr_id in (kept, lost, reused, again)} == {200}
    assert found == {expired: 410, purged: 404}
    replayed = create(functions, key="a key that was lost")
    assert replayed.body["qr_id"] == lost
    assert create(functions, key="a key that was used again").body["qr_id"] == again
    assert database("SELECT data FROM qr_codes WHERE id = %s", expired) == [(None,)]
    assert database("SELECT to_regclass('restored_codes')") == [(None,)]


def test_copied_rows_have_every_column_of_a_living_code(database):
    columns = database(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_name = 'qr_codes'"
    )
    without = {"erased_at", "idempotency_key", "request_digest", "answer"}
    (text,) = statements("Copying rows from a restored instance")
    (listed,) = re.findall(r"INSERT INTO qr_codes \(([^)]+)\)", text)
    assert {name for (name,) in columns} - without == {
        name.strip() for name in listed.split(",")
    }, "docs/operations.md: the columns of the second INSERT"
