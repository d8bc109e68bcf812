"""An owner lists, reads, changes and ends codes, on real servers."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import redis
import time_machine
from qr_service.config import settings
from qr_service.edge.events import InvocationFailed
from qr_service.errors import DatabaseUnavailable, StorageUnavailable
from qr_service.stores.cache import FRESH_SECONDS, Cache
from qr_service.stores.database import Database
from qr_service.stores.owned import OwnedTable
from qr_service.stores.storage import Storage

from tests.support.functions import forget
from tests.support.gateway import Context, get_retrieve, manage, post_generate

OWNER, OTHER = "key-of-the-owner", "key-of-somebody-else"
BODY = {"data": "https://example.com/owned", "expiration_hours": 24, "label": "Menu"}
EXISTS = "SELECT revision, erased_at IS NOT NULL, data FROM qr_codes"


@pytest.fixture
def create(functions, database):
    """Return a function that creates a code and returns its id."""

    def create(owner=OWNER, **changes):
        reply = post_generate(functions.generate, BODY | changes, api_key_id=owner)
        assert reply.status == 201
        return reply.body["qr_id"]

    return create


@pytest.fixture
def send(functions):
    """Return a function that sends a request of an owner."""

    def send(method, qr_id="", owner=OWNER, **given):
        return manage(functions.manage, method, qr_id, api_key_id=owner, **given)

    return send


def change(send, qr_id, body, tag='"1"', **given):
    return send("PATCH", qr_id, body=body, headers={"If-Match": tag}, **given)


def moment(text):
    return datetime.fromisoformat(text)


# ------------------------------------------------------------------------ reading


def test_a_code_is_shown_to_its_owner(create, send):
    qr_id = create()
    reply = send("GET", qr_id)
    assert (reply.status, reply.headers["etag"]) == (200, '"1"')
    body = reply.body
    lived = moment(body.pop("expires_at")) - moment(body.pop("created_at"))
    assert lived == timedelta(hours=24)
    assert body == {
        "qr_id": qr_id,
        "label": "Menu",
        "data": BODY["data"],
        "format": "png",
    }
    assert send("GET", qr_id.upper()).body["qr_id"] == qr_id


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_another_owner_sees_no_living_code(create, send, method):
    qr_id = create()
    given = {"body": {}, "headers": {"If-Match": '"1"'}} if method == "PATCH" else {}
    assert send(method, qr_id, owner=OTHER, **given).body["code"] == "not_found"
    assert send("GET", owner=OTHER).body == {"codes": [], "next": None}
    assert send("GET", qr_id).status == 200


def test_an_ended_code_is_410_for_everybody_and_an_unknown_one_404(
    create, send, functions
):
    qr_id = create()
    assert send("DELETE", qr_id).status == 204
    for owner in (OWNER, OTHER):
        assert send("GET", qr_id, owner=owner).status == 410
        assert change(send, qr_id, {"label": "x"}, owner=owner).status == 410
        assert send("DELETE", qr_id, owner=owner).status == 410
    unknown = "00000000-0000-4000-8000-000000000000"
    assert send("GET", unknown).body["code"] == "not_found"
    assert send("GET", "1").body["code"] == "invalid_id"


def test_what_a_route_does_not_know_is_refused(create, send):
    qr_id = create()
    assert send("GET", query={"page": "2"}).body["field"] == "page"
    assert send("GET", qr_id, query={"x": "1"}).body["code"] == "unknown_field"
    assert send("PATCH", qr_id, query={"x": "1"}).body["code"] == "unknown_field"
    assert send("DELETE", qr_id, query={"x": "1"}).body["code"] == "unknown_field"
    assert send("GET", query={"limit": "0"}).body["allowed"] == "1..100"


# ------------------------------------------------------------------------- lists


def fill(database, count, owner=OWNER):
    """Insert codes of an owner, several in each second, with alternating ends."""
    database(
        "INSERT INTO qr_codes (id, owner, data, options, object_key, content_type,"
        " created_at, expires_at)"
        " SELECT gen_random_uuid(), %s, 'text', %s, 'codes/x', 'image/png',"
        "     date_trunc('second', now()) - i / 3 * interval '1 second',"
        "     now() + (1 + i %% 2) * interval '1 day'"
        " FROM generate_series(1, %s) AS i",
        owner,
        '{"format": "png"}',
        count,
    )


def pages(send, **query):
    """Yield the pages of a list."""
    following = None
    while True:
        cursor = {"cursor": following} if following else {}
        reply = send("GET", query={**query, **cursor})
        assert reply.status == 200
        yield reply.body["codes"]
        following = reply.body["next"]
        if following is None:
            return


def test_each_code_is_listed_once_while_others_are_created(send, database, create):
    fill(database, 25)
    fill(database, 10, OTHER)
    listed = []
    for page in pages(send, limit="4"):
        listed += page
        create()
    assert len(listed) == len({code["qr_id"] for code in listed}) == 25
    moments = [code["created_at"] for code in listed]
    assert moments == sorted(moments, reverse=True)


def test_a_list_ends_with_a_full_page(send, database):
    fill(database, 4)
    assert [len(page) for page in pages(send, limit="2")] == [2, 2]
    assert [len(page) for page in pages(send)] == [4]


def test_only_codes_that_end_before_a_moment(send, database):
    fill(database, 10)
    before = datetime.now(UTC) + timedelta(hours=36)
    listed = list(pages(send, expires_before=before.strftime("%Y-%m-%dT%H:%M:%SZ")))
    assert [len(page) for page in listed] == [5]


def test_any_offset_is_understood(send, create):
    create()
    late = {"expires_before": "9998-12-27T03:31:23+23:22"}
    assert len(send("GET", query=late).body["codes"]) == 1
    early = {"expires_before": "0314-12-27T03:31:23+23:22"}
    assert send("GET", query=early).body == {"codes": [], "next": None}


def test_codes_that_have_ended_are_not_listed(send, create, database):
    create()
    database("UPDATE qr_codes SET expires_at = now()")
    assert send("GET").body == {"codes": [], "next": None}


def test_a_list_of_100_000_codes_reads_pages_of_the_index(send, database, create):
    fill(database, 100_000)
    database("ANALYZE qr_codes")
    statement = OwnedTable._LIST
    parameters = {
        "owner": OWNER,
        "created_at": datetime.now(UTC) - timedelta(hours=5),
        "id": "00000000-0000-4000-8000-000000000000",
        "before": datetime(9999, 1, 1, tzinfo=UTC),
        "limit": 101,
    }
    for name, value in parameters.items():
        statement = statement.replace(f"%({name})s", f"'{value}'")
    ((((plan,),),),) = (database(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"),)
    limited = plan["Plan"]
    (scan,) = limited["Plans"]
    assert scan["Node Type"] == "Index Scan"
    assert scan["Index Name"] == "qr_codes_owner"
    assert scan["Actual Rows"] == 101
    assert scan.get("Rows Removed by Filter", 0) == 0
    listed = set()
    for number, page in enumerate(pages(send, limit="100")):
        if number % 100 == 0:
            create()
        assert len(page) == 100
        ids = {code["qr_id"] for code in page}
        assert not ids & listed
        listed |= ids
    assert len(listed) == 100_000


# ----------------------------------------------------------------------- changing


def test_a_label_is_changed_and_removed(create, send):
    qr_id = create()
    reply = change(send, qr_id, {"label": "Menu, terrace"})
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')
    assert reply.body["label"] == "Menu, terrace"
    assert send("GET", qr_id).body == reply.body
    assert change(send, qr_id, {"label": None}, '"2"').body["label"] is None


@pytest.mark.parametrize("hours", [48, 0.5])
def test_a_new_end_holds_at_once(create, send, functions, hours):
    qr_id = create()
    assert get_retrieve(functions.retrieve, qr_id).status == 200  # it is cached
    reply = change(send, qr_id, {"expiration_hours": hours})
    ends = moment(reply.body["expires_at"])
    left = ends - datetime.now(UTC)
    assert abs(left - timedelta(hours=hours)) < timedelta(minutes=5)
    assert moment(get_retrieve(functions.retrieve, qr_id).body["expires_at"]) == ends
    assert reply.body["label"] == "Menu"


def test_a_code_is_prolonged_again_and_again(create, send):
    qr_id = create()
    for revision in (1, 2, 3):
        reply = change(send, qr_id, {"expiration_hours": 8760}, f'"{revision}"')
        assert reply.status == 200
    assert reply.headers["etag"] == '"4"'


def test_a_change_needs_the_revision_that_it_was_decided_on(create, send):
    qr_id = create()
    without = send("PATCH", qr_id, body={"label": "x"})
    assert (without.status, without.body["code"]) == (428, "precondition_required")
    assert change(send, qr_id, {"label": "first"}).status == 200
    second = change(send, qr_id, {"label": "second"})
    assert (second.status, second.body["code"]) == (412, "precondition_failed")
    assert send("GET", qr_id).body["label"] == "first"
    assert change(send, qr_id, {"label": "third"}, "*").status == 200


def test_an_empty_patch_changes_nothing(create, send):
    qr_id = create()
    reply = change(send, qr_id, {})
    assert (reply.status, reply.headers["etag"]) == (200, '"1"')


@pytest.mark.parametrize(
    "body", [{"data": "https://example.com/other"}, {"expired_url": None}]
)
def test_the_target_of_a_static_code_cannot_change(create, send, body):
    qr_id = create()
    reply = change(send, qr_id, body)
    assert (reply.status, reply.body["code"]) == (422, "not_dynamic")
    assert reply.body["field"] in body


def test_one_of_two_writers_is_refused(create, send):
    qr_id = create()
    with ThreadPoolExecutor(1) as pool:  # the handlers share a connection
        replies = [
            pool.submit(change, send, qr_id, {"label": label}).result()
            for label in ("first", "second")
        ]
    assert sorted(reply.status for reply in replies) == [200, 412]


def test_a_change_that_another_overtakes_is_refused(create, send, monkeypatch):
    qr_id = create()
    original = OwnedTable.change

    def overtaken(table, known, wanted):
        monkeypatch.setattr(OwnedTable, "change", original)
        assert change(send, qr_id, {"label": "faster"}).status == 200
        return original(table, known, wanted)

    monkeypatch.setattr(OwnedTable, "change", overtaken)
    assert change(send, qr_id, {"label": "slower"}).status == 412
    assert send("GET", qr_id).body["label"] == "faster"


def test_a_repeated_statement_is_not_taken_for_another_writer(
    create, send, monkeypatch
):
    """After a lost connection the statement is sent twice; the first one was done."""
    qr_id = create()
    original = OwnedTable.change

    def twice(table, known, wanted):
        assert original(table, known, wanted)
        return original(table, known, wanted)

    monkeypatch.setattr(OwnedTable, "change", twice)
    reply = change(send, qr_id, {"label": "once", "expiration_hours": 2})
    assert (reply.status, reply.headers["etag"]) == (200, '"2"')


def test_replaying_the_key_answers_as_before_the_change(functions, send, database):
    key = {"Idempotency-Key": "a key of a changed code"}
    first = post_generate(functions.generate, BODY, key, api_key_id=OWNER)
    assert change(send, first.body["qr_id"], {"expiration_hours": 1}).status == 200
    again = post_generate(functions.generate, BODY, key, api_key_id=OWNER)
    assert (again.status, again.body) == (201, first.body)


# ------------------------------------------------------------------------- ending


def test_an_ended_code_is_gone_everywhere(create, send, functions, database, bucket):
    qr_id = create()
    assert get_retrieve(functions.retrieve, qr_id).status == 200
    assert bucket.keys() == {f"codes/{qr_id}.png"}
    reply = send("DELETE", qr_id)
    assert (reply.status, reply.body) == (204, {})
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    assert bucket.keys() == set()
    assert database(EXISTS) == [(2, True, None)]
    assert send("DELETE", qr_id).status == 410


def test_a_code_ends_in_its_first_second(create, send, database):
    for _ in range(3):  # one of them within the second
        assert send("DELETE", create()).status == 204
    assert database("SELECT count(*) FROM qr_codes WHERE expires_at >= created_at") == [
        (3,)
    ]


def test_an_end_honours_the_revision_if_there_is_one(create, send):
    qr_id = create()
    change(send, qr_id, {"label": "changed"})
    assert send("DELETE", qr_id, headers={"If-Match": '"1"'}).status == 412
    assert send("GET", qr_id).status == 200
    assert send("DELETE", qr_id, headers={"If-Match": '"2"'}).status == 204


def test_a_key_is_free_when_its_code_is_ended(functions, send, database):
    key = {"Idempotency-Key": "a key of an ended code"}
    first = post_generate(functions.generate, BODY, key, api_key_id=OWNER)
    assert send("DELETE", first.body["qr_id"]).status == 204
    second = post_generate(functions.generate, BODY, key, api_key_id=OWNER)
    assert second.status == 201
    assert second.body["qr_id"] != first.body["qr_id"]


def test_a_code_that_is_changed_meanwhile_ends_all_the_same(create, send, monkeypatch):
    qr_id = create()
    original = OwnedTable.end

    def overtaken(table, known):
        monkeypatch.setattr(OwnedTable, "end", original)
        assert change(send, qr_id, {"label": "faster"}).status == 200
        return original(table, known)

    monkeypatch.setattr(OwnedTable, "end", overtaken)
    assert send("DELETE", qr_id).status == 204
    assert send("GET", qr_id).status == 410


def test_a_repeated_end_is_completed(create, send, monkeypatch, bucket, database):
    qr_id = create()
    original = OwnedTable.end

    def twice(table, known):
        assert original(table, known)
        return original(table, known)

    monkeypatch.setattr(OwnedTable, "end", twice)
    assert send("DELETE", qr_id).status == 204
    assert bucket.keys() == set()
    assert database(EXISTS) == [(2, True, None)]


@pytest.mark.parametrize(
    "broken",
    [
        (Storage, "delete", StorageUnavailable()),
        (OwnedTable, "erase", DatabaseUnavailable(maybe_executed=True)),
        (OwnedTable, "erase", psycopg2.errors.InsufficientPrivilege("a right")),
        (Cache, "_ask", None),
    ],
)
def test_after_the_end_is_committed_nothing_can_fail(
    create, send, functions, bucket, database, monkeypatch, broken
):
    store, method, failure = broken
    qr_id = create()
    assert get_retrieve(functions.retrieve, qr_id).status == 200

    def fail(*_):
        if failure is not None:
            raise failure

    with monkeypatch.context() as changed:
        changed.setattr(store, method, fail)
        assert send("DELETE", qr_id).status == 204
    if store is Cache:  # hidden for a minute at most
        with redis.Redis(port=settings().redis_port) as cache:
            entry = json.loads(cache.get(f"qr:{qr_id}"))
            assert entry["fresh_until"] - datetime.now(UTC).timestamp() <= FRESH_SECONDS
    else:
        assert get_retrieve(functions.retrieve, qr_id).status == 410
        assert functions.clean_up()["erased"] == 1
    assert bucket.keys() == set()
    assert database(EXISTS) == [(2, True, None)]


def test_without_the_database_nothing_is_promised(create, send, monkeypatch):
    qr_id = create()
    with monkeypatch.context() as changed:
        changed.setenv("DATABASE_URL", "postgresql://qr_app:x@127.0.0.1:1/qrcodes")
        forget()
        for reply in (
            send("GET"),
            send("GET", qr_id),
            change(send, qr_id, {"label": "x"}),
            send("DELETE", qr_id),
        ):
            assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    forget()
    assert send("GET", qr_id).headers["etag"] == '"1"'


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_code_that_has_ended_by_the_clock_of_the_database(
    create, send, database, method
):
    """A function whose clock is slow takes it for living, and must not try for ever."""
    qr_id = create()
    database("UPDATE qr_codes SET expires_at = now(), created_at = now()")
    slow = datetime.now(UTC) - timedelta(minutes=5)
    with time_machine.travel(slow, tick=True):
        assert send("GET", qr_id).status == 200
        body = {"label": "late"} if method == "PATCH" else None
        headers = {"If-Match": "*"}
        assert send(method, qr_id, body=body, headers=headers).status == 410


def test_two_connections_end_a_code_once(create, functions, servers):
    """Both find it living; the second UPDATE waits, and finds another revision."""
    qr_id = create()
    url = servers.postgresql.url("qr_manage")
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("DATABASE_URL", url)
        settings.cache_clear()
        first, second = (OwnedTable(Database(settings())) for _ in range(2))
        known = [table.find(qr_id) for table in (first, second)]
        assert first.end(known[0])
        assert second.end(known[1]) is None
    settings.cache_clear()


# ---------------------------------------------------------------------- operators


def operate(functions, event, seconds=60):
    return functions.manage(event, Context(seconds))


def test_an_operator_ends_all_codes_of_an_owner(create, send, functions, bucket):
    ids = [create() for _ in range(5)]
    kept = create(OTHER)
    for qr_id in ids:
        assert get_retrieve(functions.retrieve, qr_id).status == 200
    report = operate(functions, {"end_owner": OWNER})
    assert report == {"done": 5, "complete": True}
    for qr_id in ids:
        assert get_retrieve(functions.retrieve, qr_id).status == 410
    assert get_retrieve(functions.retrieve, kept).status == 200
    assert operate(functions, {"end_owner": OWNER}) == {"done": 0, "complete": True}
    assert functions.clean_up()["erased"] == 5
    assert bucket.keys() == {f"codes/{kept}.png"}


def test_an_operator_gives_codes_to_another_key(functions, send, database):
    shared, own = ({"Idempotency-Key": key} for key in ("shared", "own"))
    first = post_generate(functions.generate, BODY, shared, api_key_id=OWNER)
    second = post_generate(functions.generate, BODY, own, api_key_id=OWNER)
    theirs = post_generate(functions.generate, BODY, shared, api_key_id=OTHER)
    report = operate(functions, {"transfer": {"from": OWNER, "to": OTHER}})
    assert report == {"done": 2, "complete": True}
    for reply in (first, second, theirs):
        assert send("GET", reply.body["qr_id"], owner=OTHER).status == 200
    assert send("GET").body["codes"] == []
    for key, expected in ((shared, theirs), (own, second)):
        again = post_generate(functions.generate, BODY, key, api_key_id=OTHER)
        assert again.body == expected.body


def test_an_operator_goes_on_where_the_time_ended(create, functions):
    for _ in range(5):
        create()
    assert operate(functions, {"end_owner": OWNER}, seconds=5) == {
        "done": 0,
        "complete": False,
    }
    assert operate(functions, {"end_owner": OWNER})["done"] == 5


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"end_owner": 1},
        {"transfer": {"from": OWNER}},
        {"transfer": {"from": OWNER, "to": OWNER}},
    ],
)
def test_another_event_is_refused(functions, event):
    with pytest.raises(InvocationFailed, match="none of"):
        operate(functions, event)
