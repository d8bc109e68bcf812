"""A dynamic code over HTTP: printed, followed, edited, ended, brought back, deleted."""

import json
from urllib.parse import urlsplit

import pytest
import redis

from local import http
from proof.audit import text_of
from tests.support import database
from tests.support.launcher import Launcher
from tests.support.scanners import needs_zbar, opencv_reads, zbar_reads

FIRST, SECOND, OVER = (f"https://example.com/{name}" for name in ("1", "2", "over"))


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    launcher = Launcher(tmp_path_factory.mktemp("dynamic")).start()
    yield launcher
    launcher.discard()


@pytest.fixture
def made(system):
    """Return the answer that created a code."""
    fields = {
        "data": FIRST,
        "dynamic": True,
        "expiration_hours": 24,
        "expired_url": OVER,
    }
    answer = http.post(f"{system.url}/generate", fields)
    assert answer.status == 201, answer
    return answer.json


def follow(url, method="GET", **headers):
    answer = http.call(method, url, headers=headers)
    return answer.status, answer.headers.get("Location")


def change(system, made, **fields):
    url = f"{system.url}/codes/{made['qr_id']}"
    answer = http.call("PATCH", url, fields, {"If-Match": "*"})
    assert answer.status == 200, answer


def move_the_end(system, made, by):
    """Move the end, as time would; the cache has not heard of the code."""
    environment = json.loads((system.state / "env.json").read_text())
    database.query(
        environment["MigrateFunction"]["DATABASE_URL"],
        f"UPDATE qr_codes SET created_at = created_at - {by}, expires_at = expires_at"
        f" - {by}, kept_until = kept_until - {by} WHERE id = %s",
        made["qr_id"],
    )
    with redis.Redis(port=system.recorded["Valkey"]["port"]) as cache:
        cache.flushall()


@needs_zbar
def test_what_is_printed_leads_to_the_target_of_the_moment(system, made):
    image = http.get(f"{system.url}/retrieve/{made['qr_id']}?redirect=1")
    image = http.get(image.headers["Location"]).body
    printed = {text_of(image), zbar_reads(image).decode(), opencv_reads(image).decode()}
    assert printed == {made["short_url"]}
    (url,) = printed
    assert urlsplit(url).netloc == urlsplit(system.url).netloc
    assert follow(url) == (302, FIRST)
    change(system, made, data=SECOND)
    assert follow(url) == (302, SECOND)
    assert follow(url, "HEAD") == (302, SECOND)
    assert follow(f"{url}?utm_source=poster") == (302, SECOND)
    slug = url.rpartition("/")[2]
    typed = slug.lower().replace("0", "o").replace("1", "l")
    assert follow(url.replace(slug, typed)) == (302, SECOND)

    counted = http.get(f"{system.url}/codes/{made['qr_id']}/scans").json
    assert (counted["people"], counted["bots"]) == (0, 4), "urllib is known"
    shown = http.get(f"{system.url}/codes/{made['qr_id']}").json
    assert [each["data"] for each in shown["targets"]] == [SECOND, FIRST]


def test_the_end_the_grace_and_the_return(system, made):
    url = made["short_url"]
    move_the_end(system, made, "interval '2 days'")
    assert follow(url) == (302, OVER)
    change(system, made, expired_url=None)
    assert follow(url) == (410, None)
    change(system, made, expiration_hours=1)
    assert follow(url) == (302, FIRST)


def test_a_deletion_is_for_good(system, made):
    code = f"{system.url}/codes/{made['qr_id']}"
    assert http.call("DELETE", code).status == 204
    assert follow(made["short_url"]) == (410, None)
    assert http.call("DELETE", code).status == 410


def test_a_preview_is_a_page_or_json(system, made):
    url = f"{made['short_url']}?preview=1"
    page = http.get(url)
    assert (page.status, page.headers["Content-Type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert FIRST in page.body.decode()
    data = http.get(url, Accept="application/json").json
    assert data["target"] == FIRST


def test_an_unknown_slug(system):
    assert follow(f"{system.url}/s/00000000") == (404, None)
    assert follow(f"{system.url}/s/no-slug") == (404, None)
