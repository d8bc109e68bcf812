"""From a text to a URL to a scannable image, with the real handlers and servers."""

import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qr_service.codes import Code
from qr_service.config import Settings
from qr_service.engine.readback import read
from qr_service.stores.presigned import PresignedUrls

from local.http import get
from tests.support.examples import STATUS
from tests.support.functions import age
from tests.support.gateway import (
    Context,
    event,
    get_health,
    get_retrieve,
    post_generate,
)
from tests.support.scanners import needs_zbar, zbar_reads

pytestmark = pytest.mark.usefixtures("functions", "database", "bucket")

NOW = datetime.now(UTC).replace(microsecond=0)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def fetch(url):
    image = get(url)
    assert image.status == 200
    return image.headers["Content-Type"], image.body


def status_of(url):
    return get(url).status


def create(functions, **fields):
    reply = post_generate(functions.generate, {"data": "https://example.com", **fields})
    assert reply.status == 201
    return reply.body["qr_id"]


def test_generate_answers_as_the_contract_says(functions):
    before = datetime.now(UTC).replace(microsecond=0)
    body = {"data": "https://example.com", "expiration_hours": 24}
    reply = post_generate(functions.generate, body)
    after = datetime.now(UTC)
    assert reply.status == 201
    assert reply.headers["content-type"] == "application/json"
    assert MOMENT.fullmatch(reply.body["expires_at"])
    expires_at = datetime.fromisoformat(reply.body["expires_at"])
    assert before <= expires_at - timedelta(hours=24) <= after
    stage = event("generate/url")["requestContext"]["path"].removesuffix("/generate")
    assert reply.headers["location"] == f"{stage}/retrieve/{reply.body['qr_id']}"
    assert "idempotency-replayed" not in reply.headers


def test_the_image_behind_the_url_is_scannable(functions):
    reply = get_retrieve(functions.retrieve, create(functions))
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["vary"] == "Accept"
    content_type, body = fetch(reply.body["qr_code"])
    assert content_type == "image/png"
    assert read(body).payload == b"https://example.com"


@needs_zbar
def test_a_second_scanner_reads_the_same_text(functions):
    reply = get_retrieve(functions.retrieve, create(functions))
    assert zbar_reads(fetch(reply.body["qr_code"])[1]) == b"https://example.com"


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
    )
)
def test_any_text_is_read_back_from_the_stored_image(functions, data):
    # Sent as text, so the logs are not searched for it: hypothesis also tries words of
    # our own source, including log messages.
    body = json.dumps({"data": data})
    qr_id = post_generate(functions.generate, body).body["qr_id"]
    reply = get_retrieve(functions.retrieve, qr_id)
    assert read(fetch(reply.body["qr_code"])[1]).payload == data.encode()


@pytest.mark.parametrize("case", [case for case in STATUS if "generate/" in case])
def test_an_example_event_gets_the_expected_status(functions, case):
    answer = functions.generate(event(case), Context())
    assert answer["statusCode"] == STATUS[case]


def test_a_tampered_foreign_or_expired_url_is_refused(functions, database, bucket):
    bucket.put("codes/other.png")
    qr_id = create(functions)
    url = get_retrieve(functions.retrieve, qr_id).body["qr_code"]
    assert status_of(url) == 200
    flipped = url[:-1] + ("0" if url[-1] != "0" else "1")
    assert status_of(flipped) == 403
    assert status_of(url.replace(qr_id, "other", 1)) == 403
    assert status_of(url.partition("?")[0]) == 403
    code = Code(qr_id, NOW + timedelta(days=1), f"codes/{qr_id}.png", "image/png")
    signer = PresignedUrls(Settings.from_env(os.environ))
    assert status_of(signer.of_image(code, NOW)[0]) == 200
    assert status_of(signer.of_image(code, NOW - timedelta(minutes=20))[0]) == 403


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("image/png", 302),
        ("image/png;q=0, */*", 200),
        ("image/png, application/json;q=0", 302),
        ("foo/image/png", 200),
        ("image/avif,image/webp,*/*", 302),
        ("text/html,application/xhtml+xml,image/avif,*/*;q=0.8", 302),
        ("image/png, application/json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("text/html", 200),
    ],
)
def test_the_accept_header_decides_between_redirect_and_json(functions, accept, status):
    reply = get_retrieve(functions.retrieve, create(functions), {"Accept": accept})
    assert reply.status == status
    if status == 302:
        assert (
            read(fetch(reply.headers["location"])[1]).payload == b"https://example.com"
        )


def test_the_query_can_request_a_redirect(functions):
    reply = get_retrieve(functions.retrieve, create(functions), query={"redirect": "1"})
    assert reply.status == 302
    assert reply.headers["location"] == reply.body["qr_code"]


def test_an_unknown_id_is_404_and_a_malformed_id_is_400(functions):
    never = "00000000-0000-4000-8000-000000000000"
    assert get_retrieve(functions.retrieve, never).status == 404
    for wrong in (never.replace("0", "A"), f"{never}\n"):
        reply = get_retrieve(functions.retrieve, wrong)
        assert (reply.status, reply.body["code"]) == (400, "invalid_id")


@pytest.mark.parametrize("warm", [True, False])
def test_an_expired_code_is_410_at_once(functions, database, warm, servers):
    qr_id = create(functions)
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    age(database, servers, qr_id, moment, cached=warm)
    for headers in ({}, {"Accept": "image/png"}):
        reply = get_retrieve(functions.retrieve, qr_id, headers)
        assert (reply.status, reply.body["code"]) == (410, "expired")
        assert reply.body["expired_at"] == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_cache_drops_a_code_when_it_expires(functions, servers):
    qr_id = create(functions, expiration_hours=2)
    with redis.Redis(port=servers.valkey.port) as cache:
        assert 7100 < cache.ttl(f"qr:{qr_id}") <= 7200


def test_the_cache_keeps_an_expired_code_for_minutes(functions, database, servers):
    qr_id = create(functions)
    age(database, servers, qr_id, NOW - timedelta(hours=1), cached=False)
    assert get_retrieve(functions.retrieve, qr_id).status == 410
    with redis.Redis(port=servers.valkey.port) as cache:
        assert 290 < cache.ttl(f"qr:{qr_id}") <= 300


def test_a_url_expires_with_its_code(functions, database, servers):
    qr_id = create(functions)
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)
    age(database, servers, qr_id, soon, cached=False)
    reply = get_retrieve(functions.retrieve, qr_id)
    assert reply.body["url_expires_at"] == reply.body["expires_at"]
    seconds = int(re.search(r"X-Amz-Expires=(\d+)", reply.body["qr_code"])[1])
    assert 50 <= seconds <= 61


def test_health_reports_the_state_of_the_cache(functions):
    reply = get_health(functions.retrieve)
    assert (reply.status, reply.body["cache"]) == (200, "ok")


def test_only_what_was_sent_is_stored(functions, database):
    qr_id = create(functions, dark="#123456")
    (row,) = database(
        "SELECT id, owner, data, options, object_key, idempotency_key, answer"
        " FROM qr_codes"
    )
    assert row[:3] == (qr_id, "anonymous", "https://example.com")
    assert row[3]["dark"] == "#123456"
    assert row[4:] == (f"codes/{qr_id}.png", None, None)
