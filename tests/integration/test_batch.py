"""POST /generate/batch: what becomes of each item, and what of all together."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from urllib.request import urlopen
from uuid import uuid4

import psycopg2
import pytest
import redis
import zxingcpp
from PIL import Image
from qr_service import batch, generation
from qr_service.codes import Code
from qr_service.config import settings
from qr_service.edge.request import parse
from qr_service.engine import logo
from qr_service.errors import DatabaseUnavailable, StorageUnavailable
from qr_service.generation import CodeGenerator, Order
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable, Inserted, Record, _row

from local.processes import wait_until
from tests.support.gateway import get_retrieve, post_batch, post_generate

KEY = "order 4711"
TEXT = "https://example.com/ticket/{}"
TRANSPARENT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNg"
    "YGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)
# One of each kind; `POST /generate` refuses the same.
BAD = (
    {},
    {"data": ""},
    {"data": 17},
    {"data": "nul\0"},
    {"data": "\ud800"},
    {"data": "x", "colour": "red"},
    {"data": "x", "expiration_hours": 1e9},
    {"data": "x", "expiration_hours": "24"},
    {"data": "x", "dynamic": True, "expiration_hours": 1},
    {"data": "https://example.com", "dynamic": True},
    {"data": "x", "expired_url": "https://example.com"},
    {"data": "x", "error_correction": "X"},
    {"data": "x", "width": 100, "module_size": 3},
    {"data": "x", "size_mm": 5},
    {"data": "x", "dpi": 203},
    {"data": "x", "dark": "red"},
    {"data": "x", "dark": "#FFFFFF"},
    {"data": "x", "shape": "star"},
    {"data": "x", "shape": "circle", "module_size": 1},
    {"data": "x", "format": "pdf", "gradient": {"to": "#000000"}},
    {"data": "x", "gradient": {"type": "linear"}},
    {"data": "x", "logo": "https://example.com/logo.png"},
    {"data": "x", "logo": TRANSPARENT},
    {"data": "x", "content": {"type": "tel", "number": "1"}},
    {"content": {"type": "fax"}},
    {"content": {"type": "epc", "name": "A", "iban": "DE00"}},
    {"data": "x" * 3000},
    {"data": "x" * 1250, "error_correction": "H", "logo": "LOGO"},
)


def picture():
    file = BytesIO()
    Image.new("RGB", (40, 40), "#1A237E").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


LOGO = picture()


def body_of(count, **defaults):
    items = [{"ref": f"{n}", "data": TEXT.format(n)} for n in range(count)]
    return {"defaults": {"expiration_hours": 2, **defaults}, "items": items}


def of_statuses(reply):
    assert reply.status == 200
    return [result["status"] for result in reply.body["results"]]


def read_back(functions, result):
    url = get_retrieve(functions.retrieve, result["qr_id"]).body["qr_code"]
    with urlopen(url) as response, Image.open(response) as image:
        return zxingcpp.read_barcode(image.convert("L")).text


def codes(database):
    return database("SELECT count(*), count(DISTINCT data) FROM qr_codes")


def test_each_bad_item_has_its_own_problem_and_the_others_are_made(
    functions, database, bucket
):
    bad = [
        {name: LOGO if value == "LOGO" else value for name, value in item.items()}
        for item in BAD
    ]
    good = body_of(100 - len(bad))["items"]
    items = [{"ref": f"bad {n}", **item} for n, item in enumerate(bad)]
    mixed = [item for pair in zip(items, good, strict=False) for item in pair]
    mixed += good[len(bad) :]
    first = post_batch(functions.generate, {"items": mixed}, KEY)
    results = dict(
        zip((each["ref"] for each in mixed), first.body["results"], strict=True)
    )
    assert [each["ref"] for each in first.body["results"]] == [*results]
    for number, item in enumerate(bad):
        alone = post_generate(functions.generate, item)
        found = results[f"bad {number}"]
        assert alone.status in (400, 422)
        assert found.pop("request_id")
        del alone.body["request_id"]
        assert found == {"ref": f"bad {number}", **alone.body}
    for item in good:
        assert results[item["ref"]]["status"] == 201
    assert codes(database) == [(len(good), len(good))]
    assert len(bucket.keys()) == len(good)
    for item in good[:10]:
        assert read_back(functions, results[item["ref"]]) == item["data"]

    again = post_batch(functions.generate, {"items": mixed}, KEY)
    for before, after in zip(first.body["results"], again.body["results"], strict=True):
        if before["status"] == 201:
            assert after == {**before, "replayed": True}
    assert codes(database) == [(len(good), len(good))]
    assert len(bucket.keys()) == len(good)


def test_an_answer_is_that_of_a_single_request(functions, database, bucket):
    item = {"data": TEXT.format(1), "width": 300, "dark": "#1A237E"}
    alone = post_generate(functions.generate, item)
    sent = {"defaults": {"width": 300}, "items": [{"ref": "a", **item}]}
    (result,) = post_batch(functions.generate, sent).body["results"]
    own = {"qr_id", "expires_at"}
    assert list(result) == ["ref", "status", *alone.body]
    assert {name: result[name] for name in alone.body.keys() - own} == {
        name: alone.body[name] for name in alone.body.keys() - own
    }


def test_the_codes_of_a_batch_are_cached(functions, database, bucket, servers):
    sent = body_of(3, dynamic=True)
    results = post_batch(functions.generate, sent).body["results"]
    names = {f"qr:{each['qr_id']}" for each in results}
    names |= {f"slug:{each['short_url'].rpartition('/')[2]}" for each in results}
    with redis.Redis(port=servers.valkey.port, decode_responses=True) as cache:
        assert {*cache.keys()} == names


def test_an_item_has_defaults_unless_it_has_its_own(functions, database, bucket):
    sent = {
        "defaults": {"label": "all", "border": 2},
        "items": [{"ref": "a", "data": "a"}, {"ref": "b", "data": "b", "label": "own"}],
    }
    assert of_statuses(post_batch(functions.generate, sent)) == [201, 201]
    rows = database(
        "SELECT data, label, options->>'border' FROM qr_codes ORDER BY data"
    )
    assert rows == [("a", "all", "2"), ("b", "own", "2")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [{}] * 101}, "items"),
        ({"items": {}}, "items"),
        ({"items": None}, "items"),
        ({"defaults": []}, "defaults"),
        ({"defaults": {"ref": "a"}}, "defaults.ref"),
        ({"defaults": {"colour": "red"}}, "defaults.colour"),
        ({"more": 1}, "more"),
    ],
)
def test_a_mistake_in_the_batch_itself_creates_nothing(
    functions, database, bucket, change, field
):
    reply = post_batch(functions.generate, body_of(2) | change)
    assert (reply.status, reply.body["field"]) == (400, field)
    assert codes(database) == [(0, 0)]
    assert bucket.keys() == set()


def test_a_batch_without_items_is_refused(functions):
    reply = post_batch(functions.generate, {})
    assert (reply.body["code"], reply.body["field"]) == ("missing_field", "items")


@pytest.mark.parametrize(
    ("item", "code", "field"),
    [
        ({"data": "x"}, "missing_field", "ref"),
        ({"ref": "", "data": "x"}, "out_of_range", "ref"),
        ({"ref": "r" * 101, "data": "x"}, "out_of_range", "ref"),
        ({"ref": 17, "data": "x"}, "invalid_type", "ref"),
        ({"ref": "0", "data": "x"}, "out_of_range", "ref"),  # the first item's
        (17, "invalid_type", "items"),
        (None, "invalid_type", "items"),
    ],
)
def test_an_item_without_a_name_of_its_own_is_refused(
    functions, database, bucket, item, code, field
):
    sent = body_of(2)
    sent["items"].insert(1, item)
    first, refused, last = post_batch(functions.generate, sent, KEY).body["results"]
    assert (first["status"], last["status"]) == (201, 201)
    assert (refused["ref"], refused["code"], refused["field"]) == (None, code, field)


def test_a_megabyte_is_the_most(functions):
    body = json.dumps(body_of(1))
    most = post_batch(functions.generate, body.ljust(1024 * 1024))
    assert of_statuses(most) == [201]
    over = post_batch(functions.generate, body.ljust(1024 * 1024 + 1))
    assert (over.status, over.body["limit"]) == (413, 1024 * 1024)


@pytest.mark.parametrize("query", [{"include": "image"}, {"dry_run": "yes"}])
def test_a_query_parameter_that_a_batch_does_not_have_is_refused(
    functions, database, query
):
    reply = post_batch(functions.generate, body_of(1), query=query)
    assert (reply.status, reply.body["field"]) == (400, *query)
    assert codes(database) == [(0, 0)]


def test_a_dry_run_reports_on_each_image_and_stores_nothing(
    functions, database, bucket
):
    dry = {"dry_run": "true"}
    sent = body_of(2)
    sent["items"].append({"ref": "bad", "data": "x", "width": 9})
    reply = post_batch(functions.generate, sent, KEY, query=dry)
    alone = post_generate(functions.generate, {"data": TEXT.format(0)}, query=dry)
    assert of_statuses(reply) == [200, 200, 400]
    assert reply.body["results"][0] == {"ref": "0", "status": 200, **alone.body}
    assert codes(database) == [(0, 0)]
    assert bucket.keys() == set()


def test_a_batch_that_s3_cut_off_is_completed_by_sending_it_again(
    functions, database, bucket, monkeypatch
):
    real, refused = Storage.put, iter([True, False] * 10)

    def put(*given):
        if next(refused):
            raise StorageUnavailable
        real(*given)

    with monkeypatch.context() as broken:
        broken.setattr(Storage, "put", put)
        first = post_batch(functions.generate, body_of(20), KEY)
    assert sorted(of_statuses(first)) == [201] * 10 + [503] * 10
    for result in first.body["results"]:
        assert result.get("retry_after") == (5 if result["status"] == 503 else None)
    assert len(bucket.keys()) == 10
    again = post_batch(functions.generate, body_of(20), KEY)
    assert of_statuses(again) == [201] * 20
    assert sum("replayed" in each for each in again.body["results"]) == 10
    assert codes(database) == [(20, 20)]
    assert len(bucket.keys()) == 20


@pytest.mark.parametrize("executed", [False, True])
def test_a_batch_whose_rows_were_cut_off_makes_nothing_twice(
    functions, database, bucket, monkeypatch, log, executed
):
    real = CodeTable.insert

    def insert(*given):
        if executed:
            real(*given)
        raise DatabaseUnavailable(maybe_executed=executed)

    with monkeypatch.context() as broken:
        broken.setattr(CodeTable, "insert", insert)
        first = post_batch(functions.generate, body_of(20), KEY)
    assert of_statuses(first) == [503] * 20
    assert len(bucket.keys()) == (20 if executed else 0)
    assert log()[-1]["refused"] == 20
    again = post_batch(functions.generate, body_of(20), KEY)
    assert of_statuses(again) == [201] * 20
    assert codes(database) == [(20, 20)]
    assert len(bucket.keys()) == 20


def test_without_a_database_the_whole_batch_is_unavailable(
    functions, bucket, monkeypatch
):
    monkeypatch.setenv("DATABASE_URL", "postgresql://qr_app:x@127.0.0.1:1/qrcodes")
    reply = post_batch(functions.generate, body_of(2), KEY)
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert bucket.keys() == set()


def test_an_error_of_the_service_spoils_one_item(
    functions, database, bucket, monkeypatch, log
):
    real = generation.prove

    def prove(request, *given):
        if request.data == TEXT.format(1):
            raise ZeroDivisionError(request.data)
        return real(request, *given)

    monkeypatch.setattr(generation, "prove", prove)
    reply = post_batch(functions.generate, body_of(3), KEY)
    assert of_statuses(reply) == [201, 500, 201]
    (line,) = [line for line in log() if line["level"] == "ERROR"]
    assert line["error"] == "ZeroDivisionError"
    assert "ticket" not in json.dumps(line)


def test_what_does_not_fit_into_the_time_is_left_for_another_request(
    functions, database, bucket, monkeypatch
):
    app = functions.generate_app
    with monkeypatch.context() as changed:
        in_time = iter([True] * 3 + [False] * 7)
        changed.setattr(app, "time_left", lambda: lambda: next(in_time))
        first = post_batch(functions.generate, body_of(10), KEY)
    assert of_statuses(first) == [201] * 3 + [503] * 7
    assert first.body["results"][9]["detail"].startswith("There was no time left")
    assert codes(database) == [(3, 3)]
    again = post_batch(functions.generate, body_of(10), KEY)
    assert of_statuses(again) == [201] * 10
    assert codes(database) == [(10, 10)]


def test_items_are_begun_until_the_rest_of_the_time_is_needed(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(batch, "time", clock)
    in_time = batch.time_left()
    clock.now += batch.SECONDS - batch.RESERVE - 0.1
    assert in_time()
    clock.now += 0.2
    assert not in_time()


def test_a_logo_of_the_defaults_is_decoded_once(
    functions, database, bucket, monkeypatch
):
    real, decoded = logo._pixels_alone, []

    def pixels_alone(image):
        decoded.append(image.size)
        return real(image)

    logo.decode.cache_clear()
    monkeypatch.setattr(logo, "_pixels_alone", pixels_alone)
    reply = post_batch(functions.generate, body_of(20, logo=LOGO))
    assert of_statuses(reply) == [201] * 20
    assert len(decoded) == 1


def test_a_slug_in_use_is_drawn_again_for_its_item_alone(
    functions, database, bucket, monkeypatch
):
    sent = body_of(4, dynamic=True)
    drawn = iter(["AAAAAAA1", "AAAAAAA2", "AAAAAAA1", "AAAAAAA3", "AAAAAAA4"])
    monkeypatch.setattr(generation, "random_slug", lambda: next(drawn))
    reply = post_batch(functions.generate, sent, KEY)
    assert of_statuses(reply) == [201] * 4
    slugs = [each["short_url"][-1] for each in reply.body["results"]]
    assert slugs == ["1", "2", "4", "3"]
    assert len(bucket.keys()) == 4


def test_the_same_batch_at_once_makes_one_code_of_each_item(
    functions, database, bucket
):
    """Also in another order: rows are inserted in that of their keys."""
    orders = [
        Order(parse(json.dumps({"data": TEXT.format(n)}).encode(), settings()), f"{n}")
        for n in range(30)
    ]

    def generate(way):
        # As on Lambda: each request has its own execution environment.
        table = CodeTable(Database(settings()))
        storage = Storage(settings())
        try:
            generator = CodeGenerator(table, storage, Cache(settings()), settings())
            return generator.generate_all(orders[::way], "anonymous")[::way]
        finally:
            storage.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(generate, [1, -1] * 8))
    for outcomes in zip(*answers, strict=True):
        assert len({outcome.body["qr_id"] for outcome in outcomes}) == 1
        assert sum(not outcome.replayed for outcome in outcomes) == 1
    assert codes(database) == [(30, 30)]
    assert len(bucket.keys()) == 30


def test_two_batches_with_the_same_keys_do_not_wait_for_each_other(
    functions, database, servers
):
    """One waits within its INSERT, and meanwhile another has the same keys reversed."""
    now = datetime.now(UTC).replace(microsecond=0)

    def record(key):
        qr_id = str(uuid4())
        code = Code(qr_id, now + timedelta(hours=1), f"codes/{qr_id}.png", "image/png")
        return Record(code, "owner", "text", {}, now, key, b"digest", {})

    def insert(table, keys):
        outcomes = table.insert([record(key) for key in keys])
        return outcomes.count(Inserted.STORED)

    tables = [CodeTable(Database(settings())) for _ in range(2)]
    for table in tables:
        table.database.ping()  # connected, since a wait for a lock is limited

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    held = record("5")
    with (
        closing(psycopg2.connect(servers.postgresql.url("qr_admin"))) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        with other.cursor() as cursor:
            rows = json.dumps([_row(held)])
            cursor.execute(CodeTable._INSERT, {"rows": rows})
        batches = []
        for table, keys in zip(tables, ("123456789", "987654321"), strict=True):
            batches.append(pool.submit(insert, table, keys))
            assert wait_until(lambda: database(waiting) == [(len(batches),)], 3)
        other.rollback()
        assert sorted(batch.result() for batch in batches) == [0, 9]


def test_an_item_with_another_body_is_a_mismatch_of_its_own(
    functions, database, bucket
):
    post_batch(functions.generate, body_of(3), KEY)
    changed = body_of(3)
    changed["items"][1]["border"] = 5
    reply = post_batch(functions.generate, changed, KEY)
    assert of_statuses(reply) == [201, 422, 201]
    assert reply.body["results"][1]["code"] == "idempotency_mismatch"
    other = post_batch(functions.generate, changed, "another key")
    assert of_statuses(other) == [201] * 3


def test_a_key_of_a_batch_is_none_of_a_single_request(functions, database, bucket):
    post_batch(functions.generate, body_of(1), KEY)
    headers = {"Idempotency-Key": f"{KEY}0"}  # with the ref, but without a line feed
    alone = post_generate(functions.generate, {"data": TEXT.format(0)}, headers)
    assert alone.status == 201
    assert "idempotency-replayed" not in alone.headers


def test_ended_codes_free_their_keys(functions, database, bucket):
    first = post_batch(functions.generate, body_of(3), KEY).body["results"]
    database(
        "UPDATE qr_codes SET created_at = '2020-01-01', expires_at = '2020-01-02'"
        " WHERE data <> %s",
        TEXT.format(1),
    )
    again = post_batch(functions.generate, body_of(3), KEY).body["results"]
    assert [each["status"] for each in again] == [201] * 3
    same = [a["qr_id"] == b["qr_id"] for a, b in zip(first, again, strict=True)]
    assert same == [False, True, False]


def test_errors_of_items_are_counted_as_errors_of_the_service(
    functions, database, bucket, monkeypatch, capsys
):
    monkeypatch.setattr(Storage, "put", lambda *_: (_ for _ in ()).throw(OSError()))
    capsys.readouterr()
    post_batch(functions.generate, body_of(3), KEY)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [line["ServerErrors"] for line in lines if "ServerErrors" in line]
    assert [sum(values) for values in counted] == [3]
