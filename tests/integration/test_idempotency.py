"""One Idempotency-Key creates one code, even in simultaneous requests."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from qr_service.config import settings
from qr_service.edge.request import parse
from qr_service.generation import CodeGenerator, Order
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable

from tests.support.gateway import post_generate

BODY = {"data": "https://example.com/order/1", "expiration_hours": 2}
KEY = {"Idempotency-Key": "order-1/attempt ~1"}


def keys_in_use(database):
    return database("SELECT count(*) FROM qr_codes WHERE idempotency_key IS NOT NULL")


def test_the_first_answer_is_replayed_unchanged(functions, database, bucket):
    first = post_generate(functions.generate, BODY, KEY)
    again = post_generate(functions.generate, dict(reversed(BODY.items())), KEY)
    assert (first.status, again.status) == (201, 201)
    assert list(again.body.items()) == list(first.body.items())
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert database("SELECT count(*) FROM qr_codes") == [(1,)]
    assert len(bucket.keys()) == 1


def test_another_body_with_the_same_key_is_refused(functions, database, bucket):
    post_generate(functions.generate, BODY, KEY)
    reply = post_generate(functions.generate, {**BODY, "border": 5}, KEY)
    assert (reply.status, reply.body["code"]) == (422, "idempotency_mismatch")
    assert len(bucket.keys()) == 1


def test_a_key_is_looked_up_before_encoding(functions, database, bucket, monkeypatch):
    post_generate(functions.generate, BODY, KEY)

    def work(*_):
        raise AssertionError("a replay encodes nothing")

    monkeypatch.setattr("qr_service.proving.encode", work)
    assert post_generate(functions.generate, BODY, KEY).status == 201


def test_the_same_key_of_another_owner_is_another_key(functions, database, bucket):
    replies = [
        post_generate(functions.generate, BODY, KEY, api_key_id=owner)
        for owner in ("key-a", "key-b", None)
    ]
    assert len({reply.body["qr_id"] for reply in replies}) == 3
    owners = database("SELECT owner FROM qr_codes ORDER BY owner")
    assert owners == [("anonymous",), ("key-a",), ("key-b",)]


def test_without_a_key_every_request_creates_a_code(functions, database, bucket):
    ids = {post_generate(functions.generate, BODY).body["qr_id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("erased", [False, True])
def test_a_key_can_be_used_again_after_its_code_expired(
    functions, database, bucket, erased
):
    first = post_generate(functions.generate, BODY, KEY)
    past = datetime.now(UTC) - timedelta(minutes=1)
    database("UPDATE qr_codes SET created_at = '2020-01-01', expires_at = %s", past)
    if erased:
        functions.clean_up()
    again = post_generate(functions.generate, {"data": "something new here"}, KEY)
    assert again.status == 201
    assert again.body["qr_id"] != first.body["qr_id"]
    assert "idempotency-replayed" not in again.headers
    assert keys_in_use(database) == [(1,)]


def test_a_malformed_key_is_refused(functions, database, bucket):
    reply = post_generate(functions.generate, BODY, {"Idempotency-Key": "x" * 256})
    assert (reply.status, reply.body["field"]) == (400, "Idempotency-Key")


def test_50_simultaneous_requests_create_one_code_and_one_object(
    functions, database, bucket
):
    request = parse(json.dumps(BODY).encode(), settings())
    order = Order(request, "one key for all")

    def generate(_):
        # As on Lambda: each request has its own execution environment.
        table = CodeTable(Database(settings()))
        generator = CodeGenerator(
            table, Storage(settings()), Cache(settings()), settings()
        )
        try:
            return generator.generate(order, "anonymous")
        finally:
            generator.storage.close()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(generate, range(50)))
    (qr_id,) = {answer.body["qr_id"] for answer in answers}
    assert sum(not answer.replayed for answer in answers) == 1
    assert database("SELECT id FROM qr_codes") == [(qr_id,)]
    assert bucket.keys() == {f"codes/{qr_id}.png"}
