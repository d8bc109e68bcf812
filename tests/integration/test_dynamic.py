"""Dynamic codes: printed once, sent on to targets that change, ended for good."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import redis
import time_machine
from qr_service import generation
from qr_service.codes import SLUG_ALPHABET
from qr_service.config import settings
from qr_service.errors import DatabaseUnavailable
from qr_service.stores.cache import COUNT, FRESH_SECONDS
from qr_service.stores.database import Database
from qr_service.stores.links import LinkTable
from qr_service.stores.owned import OwnedTable
from qr_service.stores.scans import ScanTable
from qr_service.stores.table import MOST_TARGETS, CodeTable

from local.http import get
from proof.audit import text_of
from tests.support.functions import forget
from tests.support.gateway import (
    Context,
    get_retrieve,
    get_scan,
    manage,
    post_generate,
)
from tests.support.scanners import opencv_reads, zbar_reads

OWNER = "key-of-the-owner"
TARGET, OTHER, OVER = (f"https://example.com/{name}" for name in ("a", "b", "over"))
BODY = {"data": TARGET, "dynamic": True, "expiration_hours": 24}
DAY = timedelta(days=1)
CALLED = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"  # by the events


@pytest.fixture
def create(functions, database, bucket):
    """Return a function that creates a dynamic code: its answer and its slug."""

    def create(**changes):
        reply = post_generate(functions.generate, BODY | changes, api_key_id=OWNER)
        assert reply.status == 201
        return reply.body, reply.body["short_url"].rpartition("/")[2]

    return create


@pytest.fixture
def send(functions):
    """Return a function that sends a request of the owner."""

    def send(method, qr_id="", **given):
        return manage(functions.manage, method, qr_id, api_key_id=OWNER, **given)

    return send


@pytest.fixture
def scan(functions):
    """Return a function that scans: status, and where it leads."""

    def scan(slug, **given):
        reply = get_scan(functions.redirect, slug, **given)
        return reply.status, reply.headers.get("location")

    return scan


def change(send, qr_id, tag="*", **fields):
    return send("PATCH", qr_id, body=fields, headers={"If-Match": tag})


def at(moment):
    return time_machine.travel(moment, tick=False)


def end_of(made):
    return datetime.fromisoformat(made["expires_at"])


def age(database, servers, qr_id, days):
    """Let a code have ended so many days ago, and the cache know nothing of it."""
    database(
        "UPDATE qr_codes SET created_at = created_at - %s, expires_at = now() - %s,"
        " kept_until = now() - %s + interval '30 days' WHERE id = %s",
        *(timedelta(days=days + 2), timedelta(days=days), timedelta(days=days), qr_id),
    )
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.flushall()


# ----------------------------------------------------------------------- creating


def test_the_image_holds_the_short_url(functions, create, database):
    made, slug = create()
    assert made["short_url"] == f"https://qr.example.org/s/{slug}"
    assert len(slug) == 8
    assert set(slug) <= set(SLUG_ALPHABET)
    url = get_retrieve(functions.retrieve, made["qr_id"]).body["qr_code"]
    image = get(url).body
    for read in (text_of, zbar_reads, opencv_reads):
        found = read(image)
        assert (found if isinstance(found, str) else found.decode()) == made[
            "short_url"
        ]
    ((data, printed),) = database("SELECT data, printed FROM qr_codes")
    assert (data, printed) == (TARGET, made["short_url"])


def test_a_slug_in_use_starts_again(create, database, bucket, monkeypatch):
    first, slug = create()
    drawn = iter([slug, slug, "ZZZZZZZ0"])
    monkeypatch.setattr(generation, "random_slug", lambda: next(drawn))
    second, other = create(data=OTHER)
    assert other == "ZZZZZZZ0"
    assert second["qr_id"] != first["qr_id"]
    assert bucket.keys() == {f"codes/{made['qr_id']}.png" for made in (first, second)}
    assert database("SELECT count(*) FROM qr_codes") == [(2,)]


def test_slugs_that_are_all_in_use_are_a_503(functions, create, bucket, monkeypatch):
    _, slug = create()
    monkeypatch.setattr(generation, "random_slug", lambda: slug)
    assert post_generate(functions.generate, BODY).status == 503
    assert len(bucket.keys()) == 1


def test_a_key_and_a_slug_in_use_replay(functions, create, bucket, monkeypatch):
    """Both indexes have a conflict at once: another request has made the same code."""
    headers = {"Idempotency-Key": "dynamic"}
    first = post_generate(functions.generate, BODY, headers)
    slug = first.body["short_url"].rpartition("/")[2]
    drawn = iter([slug, "ZZZZZZZ1"])
    monkeypatch.setattr(generation, "random_slug", lambda: next(drawn))
    table = generation.CodeTable
    real, looked = table.find_answers, iter([True])
    monkeypatch.setattr(
        table,
        "find_answers",
        lambda *given: {} if next(looked, False) else real(*given),
    )
    again = post_generate(functions.generate, BODY, headers)
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"
    assert len(bucket.keys()) == 1


def test_an_edited_code_is_replayed_as_it_was(functions, create, send, scan):
    headers = {"Idempotency-Key": "edited"}

    def post():
        return post_generate(functions.generate, BODY, headers, api_key_id=OWNER)

    first = post()
    assert change(send, first.body["qr_id"], data=OTHER).status == 200
    assert post().body == first.body


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"data": "no URI"}, "out_of_range", "data"),
        ({"data": "javascript:alert(1)"}, "out_of_range", "data"),
        ({"data": "https://user@example.com"}, "out_of_range", "data"),
        ({"data": "https://example.com\\@example.org"}, "out_of_range", "data"),
        ({"data": "https://example.com/\n"}, "out_of_range", "data"),
        ({"data": "https://example.com/ü"}, "out_of_range", "data"),
        ({"data": "https://example.com/" + "x" * 2029}, "out_of_range", "data"),
        ({"data": "https://QR.example.org./s/00000000"}, "out_of_range", "data"),
        ({"data": "https://qr.example.org:443/"}, "out_of_range", "data"),
        ({"data": f"https://{CALLED}/prod/s/00000000"}, "out_of_range", "data"),
        ({"expired_url": "https://qr.example.org"}, "out_of_range", "expired_url"),
        ({"expired_url": "ftp://example.com"}, "out_of_range", "expired_url"),
        ({"dynamic": 1}, "invalid_type", "dynamic"),
        ({"dynamic": False, "count": False}, "out_of_range", "count"),
        ({"dynamic": False, "expired_url": OVER}, "out_of_range", "expired_url"),
    ],
)
def test_what_a_dynamic_code_may_not_have(functions, changes, code, field):
    reply = post_generate(functions.generate, BODY | changes)
    assert (reply.status, reply.body["code"]) == (400, code)
    assert reply.body["field"] == field


def test_its_life_is_required(functions):
    body = {name: value for name, value in BODY.items() if name != "expiration_hours"}
    reply = post_generate(functions.generate, body)
    assert (reply.status, reply.body["code"]) == (400, "missing_field")
    assert reply.body["field"] == "expiration_hours"


def test_without_an_address_to_print_there_are_none(functions, bucket, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "")
    forget()
    reply = post_generate(functions.generate, BODY)
    assert (reply.status, reply.body["code"]) == (422, "dynamic_unavailable")
    assert bucket.keys() == set()


# ----------------------------------------------------------------------- scanning


def test_a_scan_is_sent_on(functions, create):
    _, slug = create()
    reply = get_scan(functions.redirect, slug)
    assert (reply.status, reply.headers["location"]) == (302, TARGET)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-robots-tag"] == "noindex"


def test_a_slug_may_be_typed_in_other_ways(create, scan, monkeypatch):
    monkeypatch.setattr(generation, "random_slug", lambda: "ABC01XYZ")
    create()
    for typed in ("ABC01XYZ", "abc01xyz", "ABCOIXYZ", "abcolxyz"):
        assert scan(typed) == (302, TARGET)


@pytest.mark.parametrize(
    "slug",
    ["", "ABC01XY", "ABC01XYZZ", "ABC01XY-", "ABC0\N{ARABIC-INDIC DIGIT ONE}XYZ"],
)
def test_what_is_no_slug_is_not_looked_up(functions, scan, monkeypatch, slug):
    monkeypatch.setattr(LinkTable, "find", lambda *_: pytest.fail("a look-up"))
    assert scan(slug) == (404, None)


def test_parameters_do_not_reach_the_target(create, scan):
    _, slug = create()
    query = {"utm_source": "x", "preview": "0", "url": OTHER}
    assert scan(slug, query=query) == (302, TARGET)


def test_an_unknown_slug_is_a_page(functions, database):
    reply = get_scan(functions.redirect, "00000000")
    assert reply.status == 404
    assert "There is no such code" in reply.text
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in reply.text


def test_programs_get_problem_documents(functions, database):
    for accept in ("application/json", "application/json, text/plain, */*"):
        reply = get_scan(functions.redirect, "00000000", {"Accept": accept})
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.status, reply.body["code"]) == (404, "not_found")


def test_a_preview_shows_the_target_and_does_not_go_there(functions, create, send):
    made, slug = create(data="https://example.com/?a=1&b='\"".replace('"', "%22"))
    query = {"preview": "1"}
    reply = get_scan(functions.redirect, slug, query=query)
    assert (reply.status, reply.headers.get("location")) == (200, None)
    assert "https://example.com/?a=1&amp;b=&#x27;%22" in reply.text
    assert made["expires_at"][:10] in reply.text
    asked = get_scan(
        functions.redirect, slug, {"Accept": "application/json"}, query=query
    )
    assert asked.body["expires_at"] == made["expires_at"]
    assert asked.body["expired"] is False
    assert counts(send, made) == (0, 0)


def test_a_head_is_answered_and_not_counted(functions, create, send, scan):
    made, slug = create()
    reply = get_scan(functions.redirect, slug, method="HEAD")
    assert (reply.status, reply.headers["location"]) == (302, TARGET)
    assert counts(send, made) == (0, 0)


def test_a_scan_learns_nothing_of_an_owner(functions, create):
    _, slug = create(label="my label")
    query = {"preview": "1"}
    text = get_scan(functions.redirect, slug, query=query).text
    assert OWNER not in text
    assert "my label" not in text


def test_known_codes_are_scanned_while_the_database_is_away(
    functions, create, scan, servers, monkeypatch
):
    made, slug = create()
    assert scan(slug) == (302, TARGET)
    forget()
    monkeypatch.setenv("DATABASE_URL", "postgresql://qr_app:x@127.0.0.1:1/qrcodes")
    with at(end_of(made) - timedelta(minutes=1)):
        assert scan(slug) == (302, TARGET)
    with at(end_of(made)):
        assert scan(slug)[0] in (410, 503)
    assert scan("00000000") == (503, None)


# ---------------------------------------------------------------------- the end


def test_after_the_end_a_page_says_so(functions, create, scan):
    made, slug = create()
    with at(end_of(made)):
        reply = get_scan(functions.redirect, slug)
        assert reply.status == 410
        assert "This code has ended" in reply.text
        assert made["expires_at"] in reply.text
        accept = {"Accept": "application/json"}
        problem = get_scan(functions.redirect, slug, accept).body
        assert (problem["code"], problem["expired_at"]) == (
            "expired",
            made["expires_at"],
        )


def test_after_the_end_a_scan_leads_to_expired_url(functions, create, scan, send):
    made, slug = create(expired_url=OVER)
    with at(end_of(made) - timedelta(seconds=2)):
        assert scan(slug) == (302, TARGET)
    with at(end_of(made)):
        assert scan(slug) == (302, OVER)
        query = {"preview": "1"}
        assert OVER in get_scan(functions.redirect, slug, query=query).text
        assert counts(send, made) == (1, 0), "a scan after the end is not counted"


def test_a_deleted_code_has_ended_at_once_and_for_good(
    functions, create, scan, send, database
):
    made, slug = create(expired_url=OVER)
    assert send("DELETE", made["qr_id"]).status == 204
    assert scan(slug) == (410, None)
    assert change(send, made["qr_id"], expiration_hours=1).status == 410
    assert send("GET", made["qr_id"]).status == 410
    columns = "slug, expired_url, data, printed, targets, kept_until, erased_at IS NULL"
    row = database(f"SELECT {columns} FROM qr_codes")
    assert row == [(slug, None, None, None, None, None, False)]
    forget()
    assert scan(slug) == (410, None)


def test_a_slug_is_kept_for_ever_with_what_follows_a_natural_end(
    functions, create, scan, database, servers
):
    made, slug = create(expired_url=OVER)
    static = post_generate(functions.generate, {"data": "x"}).body["qr_id"]
    for qr_id in (made["qr_id"], static):
        database(
            "UPDATE qr_codes SET created_at = '2020-01-01', expires_at = '2020-01-02',"
            " kept_until = CASE WHEN slug IS NOT NULL THEN '2020-02-02'::date END"
            " WHERE id = %s",
            qr_id,
        )
    assert functions.clean_up()["erased"] == 2
    database("UPDATE qr_codes SET erased_at = '2020-03-01'")
    assert functions.clean_up()["purged"] == 1
    kept = database("SELECT id, slug, expired_url, data FROM qr_codes")
    assert kept == [(made["qr_id"], slug, OVER, None)]
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.flushall()
    assert scan(slug) == (302, OVER)


def test_a_row_with_a_slug_keeps_no_other_from_being_purged(
    functions, create, database, servers
):
    create()
    post_generate(functions.generate, {"data": "x"})
    database("UPDATE qr_codes SET expires_at = created_at, kept_until = NULL")
    for age, which in ((9, "slug IS NOT NULL"), (8, "slug IS NULL")):
        moment = f"now() - interval '{age} days'"
        database(f"UPDATE qr_codes SET erased_at = {moment} WHERE {which}")
    url = servers.postgresql.url("qr_cleanup")
    table = CodeTable(Database(replace(settings(), database_url=url)))
    assert [table.purge(7 * DAY, 1) for _ in range(2)] == [1, 0]


def test_nobody_deletes_the_row_of_a_slug(create, database, servers):
    create()
    with psycopg2.connect(servers.postgresql.url("qr_admin")) as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM qr_codes")
        assert cursor.rowcount == 0
    connection.close()
    assert database("SELECT count(*) FROM qr_codes") == [(1,)]


# -------------------------------------------------------------------- the grace


def test_a_code_that_ended_by_itself_is_kept_and_comes_back(
    functions, create, scan, send, database, servers
):
    made, slug = create(expired_url=OVER)
    qr_id = made["qr_id"]
    age(database, servers, qr_id, days=3)
    assert functions.clean_up()["erased"] == 0
    assert scan(slug) == (302, OVER)
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    shown = send("GET", qr_id).body
    assert shown["data"] == TARGET
    assert datetime.fromisoformat(shown["kept_until"]) > datetime.now(UTC)
    assert [each["qr_id"] for each in send("GET").body["codes"]] == [qr_id]

    assert change(send, qr_id, data=OTHER).status == 200
    assert scan(slug) == (302, OVER), "a target brings nothing back"
    back = change(send, qr_id, expiration_hours=2)
    assert back.status == 200
    kept = datetime.fromisoformat(back.body["kept_until"]) - end_of(back.body)
    assert kept == 30 * DAY
    assert scan(slug) == (302, OTHER)
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.status == 200
    assert get(reply.body["qr_code"]).status == 200


def test_after_the_grace_it_is_erased_and_gone(
    functions, create, scan, send, database, servers
):
    made, slug = create()
    age(database, servers, made["qr_id"], days=31)
    assert change(send, made["qr_id"], expiration_hours=2).status == 410
    assert send("GET").body["codes"] == []
    report = functions.clean_up()
    assert (report["erased"], report["remaining"]) == (1, 0)
    assert scan(slug) == (410, None)
    assert send("GET", made["qr_id"]).status == 410


def test_a_kept_code_can_be_ended_for_good(create, scan, send, database, servers):
    made, slug = create(expired_url=OVER)
    age(database, servers, made["qr_id"], days=3)
    ended_at = database("SELECT expires_at FROM qr_codes")
    assert send("DELETE", made["qr_id"]).status == 204
    assert scan(slug) == (410, None)
    assert database("SELECT expires_at FROM qr_codes") == ended_at


def test_codes_that_end_soon_are_counted_and_listed(
    functions, create, send, database, capsys
):
    soon, _ = create(expiration_hours=24 * 13)
    create(expiration_hours=24 * 15)
    post_generate(functions.generate, {"data": "x"}, api_key_id=OWNER)
    capsys.readouterr()
    assert functions.clean_up()["ending"] == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [1] in [line.get("DynamicCodesEnding") for line in lines]
    before = (datetime.now(UTC) + 14 * DAY).isoformat()
    listed = send("GET", query={"expires_before": before}).body["codes"]
    assert soon["qr_id"] in [each["qr_id"] for each in listed]
    assert len(listed) == 2


# ------------------------------------------------------------------------- edits


def test_an_edit_takes_effect_at_once(create, scan, send):
    made, slug = create()
    assert scan(slug) == (302, TARGET)
    reply = change(send, made["qr_id"], '"1"', data=OTHER, expired_url=OVER)
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')
    assert (reply.body["data"], reply.body["expired_url"]) == (OTHER, OVER)
    assert scan(slug) == (302, OTHER)
    assert change(send, made["qr_id"], '"1"', data=TARGET).status == 412
    assert change(send, made["qr_id"], expired_url=None).body["expired_url"] is None
    shown = send("GET", made["qr_id"]).body
    assert shown["short_url"] == made["short_url"], "what is printed stays"


def test_the_last_targets_are_kept_with_their_moments(create, scan, send):
    made, slug = create()
    for number in range(MOST_TARGETS + 2):
        change(send, made["qr_id"], data=f"{TARGET}?{number}")
    change(send, made["qr_id"], label="the same target")
    targets = send("GET", made["qr_id"]).body["targets"]
    assert len(targets) == MOST_TARGETS
    assert [each["data"] for each in targets[:2]] == [f"{TARGET}?21", f"{TARGET}?20"]
    assert all(datetime.fromisoformat(each["since"]) for each in targets)
    change(send, made["qr_id"], data=targets[-1]["data"])
    assert scan(slug) == (302, f"{TARGET}?2"), "it is put back"
    assert "targets" not in send("GET").body["codes"][0]


def test_an_edit_of_which_the_cache_does_not_learn_is_hidden_for_a_minute(
    functions, create, scan, database
):
    _, slug = create()
    database("UPDATE qr_codes SET data = %s, revision = 2", OTHER)
    now = datetime.now(UTC)
    with at(now + timedelta(seconds=FRESH_SECONDS / 2)):
        assert scan(slug) == (302, TARGET)
    with at(now + timedelta(seconds=FRESH_SECONDS + 1)):
        assert scan(slug) == (302, OTHER)


def test_a_stale_reader_does_not_bring_an_earlier_target_back(
    functions, create, scan, send, monkeypatch
):
    made, slug = create()
    real = LinkTable.find
    send("GET", made["qr_id"])  # it connects by its own role
    with redis.Redis(port=settings().redis_port) as cache:
        cache.delete(f"slug:{slug}")

    def find_then_wait(table, wanted, seconds):
        found = real(table, wanted, seconds)
        monkeypatch.setattr(LinkTable, "find", real)
        assert change(send, made["qr_id"], data=OTHER).status == 200
        return found

    monkeypatch.setattr(LinkTable, "find", find_then_wait)
    assert scan(slug) == (302, TARGET), "as it was when it was read"
    assert scan(slug) == (302, OTHER)


@pytest.mark.parametrize("fields", [{"data": OTHER}, {"expired_url": None}])
def test_a_static_code_has_no_target(functions, database, send, fields):
    qr_id = post_generate(functions.generate, {"data": "x"}, api_key_id=OWNER).body[
        "qr_id"
    ]
    reply = change(send, qr_id, **fields)
    assert (reply.status, reply.body["code"]) == (422, "not_dynamic")
    reply = send("GET", f"{qr_id}/scans")
    assert (reply.status, reply.body["code"]) == (422, "not_dynamic")


# --------------------------------------------------------------------- operators


def operate(functions, event):
    return functions.manage(event, Context())


def test_an_operator_ends_a_code_by_its_slug_or_its_id(functions, create, scan):
    made, slug = create()
    answer = operate(functions, {"end": slug.lower()})
    assert answer == {"qr_id": made["qr_id"], "owner": OWNER}
    assert scan(slug) == (410, None)
    other, slug = create()
    assert operate(functions, {"end": other["qr_id"]})["owner"] == OWNER
    assert scan(slug) == (410, None)


def test_all_codes_of_an_owner_end_for_good(functions, create, scan, database, servers):
    slugs = [create(expired_url=OVER) for _ in range(3)]
    age(database, servers, slugs[0][0]["qr_id"], days=3)
    answer = operate(functions, {"end_owner": OWNER})
    assert answer == {"done": 3, "complete": True}
    assert [scan(slug) for _, slug in slugs] == [(410, None)] * 3
    assert functions.clean_up()["erased"] == 3


# ------------------------------------------------------------------------ counts


def counts(send, made, **query):
    reply = send("GET", f"{made['qr_id']}/scans", query=query)
    assert reply.status == 200
    return reply.body["people"], reply.body["bots"]


def test_people_and_bots_are_counted_apart(functions, create, scan, send):
    made, slug = create()
    for agent in ("Mozilla/5.0 (Linux; Android 15)", "curl/8", "Twitterbot/1.0"):
        scan(slug, headers={"User-Agent": agent})
    assert counts(send, made) == (1, 2)
    functions.clean_up()
    assert counts(send, made) == (1, 2)
    scan(slug)
    functions.clean_up()
    body = send("GET", f"{made['qr_id']}/scans").body
    today = datetime.now(UTC).date().isoformat()
    assert body["days"] == [{"day": today, "people": 2, "bots": 2}]


def test_a_flush_can_be_repeated_and_a_lost_cache_adds(
    functions, create, scan, send, servers
):
    made, slug = create()
    for _ in range(3):
        scan(slug)
    assert [functions.clean_up()["flushed"] for _ in range(2)] == [1, 0]
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.flushall()
    assert counts(send, made) == (3, 0)
    scan(slug)
    assert counts(send, made) == (4, 0)
    functions.clean_up()
    assert counts(send, made) == (4, 0)


def test_days_can_be_chosen(functions, create, scan, send, database):
    made, slug = create(expiration_hours=24 * 9)
    now = datetime.now(UTC)
    for days in range(3):
        with at(now + days * DAY):
            scan(slug)
            functions.clean_up()
    with at(now + 2 * DAY):
        first, last = ((now + n * DAY).date().isoformat() for n in (1, 2))
        assert counts(send, made) == (3, 0)
        assert counts(send, made, **{"from": first}) == (2, 0)
        assert counts(send, made, **{"from": last, "to": last}) == (1, 0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "to"),
        ({"since": "2026-02-02"}, "since"),
    ],
)
def test_a_wrong_day_is_refused(create, send, query, field):
    made, _ = create()
    reply = send("GET", f"{made['qr_id']}/scans", query=query)
    assert (reply.status, reply.body["field"]) == (400, field)


def test_counts_are_shown_to_the_owner_alone(functions, create):
    made, _ = create()
    path = f"{made['qr_id']}/scans"
    reply = manage(functions.manage, "GET", path, api_key_id="somebody else")
    assert (reply.status, reply.body["code"]) == (404, "not_found")


def test_whoever_does_not_want_counts_has_none(functions, create, scan, send, database):
    made, slug = create(count=False)
    scan(slug)
    functions.clean_up()
    assert counts(send, made) == (0, 0)
    assert database("SELECT count(*) FROM scans") == [(0,)]


def test_counts_go_with_the_code(functions, create, scan, send, database):
    """Also those that are flushed later: the cache still has them."""
    made, slug = create()
    scan(slug)
    functions.clean_up()
    assert database("SELECT people FROM scans") == [(1,)]
    send("DELETE", made["qr_id"])
    assert database("SELECT people FROM scans") == []
    assert functions.clean_up()["flushed"] == 0
    assert database("SELECT people FROM scans") == []


def test_a_failed_flush_does_not_fail_the_cleanup(
    functions, create, scan, database, servers, caplog
):
    _, slug = create()
    scan(slug)
    database("ALTER TABLE scans RENAME TO elsewhere")
    try:
        assert functions.clean_up()["flushed"] == 0
    finally:
        database("ALTER TABLE elsewhere RENAME TO scans")
    assert "scans left to the next flush" in caplog.text
    assert functions.clean_up()["flushed"] == 1


def test_without_a_cache_scans_work_and_are_not_counted(
    functions, create, scan, send, monkeypatch
):
    made, slug = create()
    monkeypatch.setenv("REDIS_PORT", "1")
    forget()
    assert scan(slug) == (302, TARGET)
    assert counts(send, made) == (0, 0)


def test_a_thousand_scans_at_once_are_all_counted(functions, create, send, servers):
    made, slug = create()
    handler = functions.redirect
    assert get_scan(handler, slug).status == 302  # connected

    with redis.Redis(port=servers.valkey.port) as cache:
        name = f"scans:{datetime.now(UTC):%Y-%m-%d}"

        def count(_):
            cache.eval(COUNT, 1, name, f"{made['qr_id']}:people", "x", 2**31)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count, range(999)))
    assert counts(send, made) == (1000, 0)


def test_nothing_of_who_scans_is_logged(create, scan, capsys, caplog):
    _, slug = create()
    scan(slug, headers={"User-Agent": "Browser/1", "X-Forwarded-For": "203.0.113.24"})
    records = [vars(record) for record in caplog.records]
    assert "GET /s/{slug}" in [record.get("route") for record in records]
    printed = f"{records}{capsys.readouterr().out}"
    assert not re.search(rf"{slug}|203\.0\.113|Browser", printed)


def test_a_scan_that_finds_no_database_is_a_page(functions, monkeypatch):
    def unavailable(*_):
        raise DatabaseUnavailable(maybe_executed=False)

    monkeypatch.setattr(LinkTable, "find", unavailable)
    reply = get_scan(functions.redirect, "00000001")
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "Please try again" in reply.text


# -------------------------------------------------------------------- by an index

MANY = """
    INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,
        created_at, expires_at, slug, printed, count, targets, kept_until)
    SELECT gen_random_uuid(), 'o' || mod(n, 100), 'https://example.com', '{}', 'k',
        'image/png', now() - interval '1 day', now() + mod(n, 365) * interval '1 day',
        CASE WHEN dynamic THEN translate(lpad(to_hex(n), 8, '0'), 'abcdef', 'ABCDEF')
        END, CASE WHEN dynamic THEN 'p' END, CASE WHEN dynamic THEN true END,
        CASE WHEN dynamic THEN '[]'::jsonb END,
        CASE WHEN dynamic THEN now() + (mod(n, 365) + 31) * interval '1 day' END
    FROM (
        SELECT n, mod(n, 2) = 0 AS dynamic FROM generate_series(1, 20000) AS n
    ) AS each
"""
BODY_OF_SCAN = "SELECT prosrc FROM pg_proc WHERE proname = 'scan'"


def test_every_look_up_among_many_codes_uses_an_index(database):
    database(MANY)
    database("INSERT INTO scans SELECT id, now(), id, 1, 1 FROM qr_codes WHERE count")
    database("ANALYZE")
    ((qr_id, slug),) = database(
        "SELECT id, slug FROM qr_codes WHERE slug IS NOT NULL LIMIT 1"
    )
    ((body,),) = database(BODY_OF_SCAN)
    past, week = datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=7)
    counted = {"ids": [qr_id], "people": [1], "bots": [1]}
    days = {"first": past.date(), "last": datetime.now(UTC).date()}
    for statement, parameters in (
        (body.replace("wanted", "%(slug)s"), {"slug": slug}),
        (CodeTable._CONFLICTS, {"ids": [qr_id], "slugs": [slug]}),
        (CodeTable._LOCK_DUE, {"due": past, "id": qr_id, "limit": 9}),
        (CodeTable._BACKLOG, {"limit": 9}),
        (CodeTable._ENDING, {"time": week}),
        (CodeTable._PURGE, {"age": week, "limit": 9}),
        (OwnedTable._ID_OF, {"slug": slug}),
        (ScanTable._FLUSH, {**counted, "day": past.date(), "generation": qr_id}),
        (ScanTable._SCANS, {"id": qr_id, **days}),
    ):
        plan = explained(database, statement, parameters)
        assert "Index" in plan
        assert "Seq Scan" not in plan, plan


def explained(database, statement, parameters):
    named = re.sub(r"%\((\w+)\)s", r"%s", statement)
    values = [parameters[name] for name in re.findall(r"%\((\w+)\)s", statement)]
    return "\n".join(line for (line,) in database(f"EXPLAIN {named}", *values))
