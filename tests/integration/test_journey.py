"""From a text to a URL to a scannable image, with the real handlers and servers."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qr_service.codes import Code
from qr_service.config import Settings
from qr_service.engine.readback import read
from qr_service.stores.presigned import PresignedUrls

from local.http import call, get
from local.project import ROOT
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

HOUR_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
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


def test_generate_is_warm_before_its_first_request():
    """Its own process, as an execution environment is one."""
    program = (
        "import functions.generate.app; from qr_service.engine import plane;"
        "print(plane._geometry.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/common'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"


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
    now = datetime.now(UTC)
    code = Code(qr_id, now + timedelta(days=1), f"codes/{qr_id}.png", "image/png")
    signer = PresignedUrls(Settings.from_env(os.environ))
    assert status_of(signer.of_image(code, now)[0]) == 200
    assert status_of(signer.of_image(code, now - timedelta(minutes=20))[0]) == 403


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("image/png", 302),
        ("image/png;q=0, */*", 200),
        ("image/png, application/json;q=0", 302),
        ("foo/image/png", 200),
        ("image/avif,image/webp,*/*", 302),
        ("application/pdf", 302),
        ("application/postscript, application/json;q=0.5", 302),
        ("application/pdf;q=0.5, application/json", 200),
        ("text/html,application/xhtml+xml,image/avif,*/*;q=0.8", 302),
        ("image/png, application/json", 200),
        ("image/png, application/json;q=0.9", 302),
        ("image/png;q=0.5, application/json;q=0.9", 200),
        ("image/*;q=0.5, */*;q=0.8", 200),
        ("image/png;q=high, */*;q=0.1", 200),
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
    for wrong in (never.replace("0", "G"), f"{never}\n"):
        reply = get_retrieve(functions.retrieve, wrong)
        assert (reply.status, reply.body["code"]) == (400, "invalid_id")


def test_an_id_may_be_written_in_upper_case(functions):
    qr_id = create(functions)
    for _ in range(2):  # from the cache as well
        assert get_retrieve(functions.retrieve, qr_id.upper()).status == 200


def test_an_id_in_upper_case_is_found_without_the_cache(functions, servers):
    qr_id = create(functions)
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.delete(f"qr:{qr_id}")
    assert get_retrieve(functions.retrieve, qr_id.upper()).status == 200


@pytest.mark.parametrize("query", [None, {"redirect": "1"}])
def test_a_head_has_the_headers_of_the_get_and_no_body(functions, query):
    qr_id = create(functions)
    got = get_retrieve(functions.retrieve, qr_id, query=query)
    head = get_retrieve(functions.retrieve, qr_id, query=query, method="HEAD")
    assert (head.status, head.body) == (got.status, {})
    locations = got.headers.pop("location", None), head.headers.pop("location", None)
    assert head.headers == got.headers
    if query:
        assert status_of(locations[0]) == 200
        assert call("HEAD", locations[1]).status == 200
        assert call("HEAD", locations[0]).status == 403


def test_a_head_of_an_expired_code_is_410(functions, database, servers):
    qr_id = create(functions)
    age(database, servers, qr_id, HOUR_AGO, cached=True)
    head = get_retrieve(functions.retrieve, qr_id, method="HEAD")
    assert (head.status, head.body) == (410, {})
    assert head.headers["content-type"] == "application/problem+json"


def test_a_code_may_live_for_minutes(functions):
    before = datetime.now(UTC).replace(microsecond=0)
    body = {"data": "https://example.com", "expiration_hours": 0.05}
    reply = post_generate(functions.generate, body)
    expires_at = datetime.fromisoformat(reply.body["expires_at"])
    life = expires_at - before
    assert timedelta(seconds=180) <= life <= timedelta(seconds=180 + 30)


def test_the_image_expires_in_a_browser_with_its_url(functions):
    body = get_retrieve(functions.retrieve, create(functions)).body
    headers = get(body["qr_code"]).headers
    expires = parsedate_to_datetime(headers["Expires"])
    assert expires == datetime.fromisoformat(body["url_expires_at"])
    assert "max-age" not in headers["Cache-Control"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"dry-run": ["true"]}, "dry-run"),
        ({"dry_run": ["true", "false"]}, "dry_run"),
        ({"dry_run": ["true"], "x" * 100: ["1"]}, "x" * 63 + "…"),
    ],
)
def test_unknown_and_repeated_parameters_are_refused(functions, database, query, field):
    request = event("generate/url")
    request["multiValueQueryStringParameters"] = query
    request["queryStringParameters"] = {k: v[-1] for k, v in query.items()}
    answer = functions.generate(request, Context())
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["field"]) == (400, field)
    assert database("SELECT count(*) FROM qr_codes") == [(0,)]


def test_retrieve_ignores_parameters_that_links_collect(functions):
    query = {"utm_source": "mail", "fbclid": "x"}
    assert (
        get_retrieve(functions.retrieve, create(functions), query=query).status == 200
    )


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
    age(database, servers, qr_id, HOUR_AGO, cached=False)
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
    assert 50 <= seconds <= 61 + 20  # signed from up to a third of its life before


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
