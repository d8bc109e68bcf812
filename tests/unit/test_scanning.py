"""What a scan is read from, who it is of, and the pages it may get."""

import base64
import hashlib
import re
from datetime import UTC, datetime

import pytest
from qr_service.codes import SLUG_ALPHABET, read_slug
from qr_service.edge import scan_pages
from qr_service.edge.http import prefers_json
from qr_service.edge.scanners import scanner_of
from qr_service.errors import DatabaseUnavailable, Expired, NotFound, QRError
from qr_service.proving import random_slug

MOMENT = datetime(2030, 1, 31, 12, 30, tzinfo=UTC)


def test_a_random_slug_is_read_as_it_is():
    drawn = [random_slug() for _ in range(1000)]
    assert [read_slug(slug) for slug in drawn] == drawn
    assert len(set(drawn)) == 1000
    assert set("".join(drawn)) == set(SLUG_ALPHABET)


@pytest.mark.parametrize(
    ("typed", "slug"),
    [
        ("7k2m9qwd", "7K2M9QWD"),
        ("oOiIlL01", "00111101"),
        ("7K2M9QWU", None),  # U is no character of it
        ("7K2M9QW", None),
        (" 7K2M9QW", None),
        ("7K2M9QW\N{LATIN SMALL LETTER LONG S}", None),  # upper-cased, it is an S
        ("\N{LATIN SMALL LETTER DOTLESS I}K2M9QWD", None),  # and this one an I
        ("", None),
    ],
)
def test_a_slug_as_people_type_it(typed, slug):
    assert read_slug(typed) == slug


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; iPhone OS 18_6 like Mac OS X) Mobile/15E148 Safari/6",
        "Mozilla/5.0 (Linux; Android 13; CUBOT_X90) AppleWebKit/537 Chrome/120 Mobile",
        "Mozilla/5.0 (Linux; Android 15; SM-S931B) Chrome/130 [Pinterest/Android]",
        "QRScanner/3.1 CFNetwork/1568 Darwin/24.0.0",
    ],
)
def test_a_person(agent):
    assert scanner_of({"User-Agent": agent}) == "people"


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "facebookexternalhit/1.1",
        "WhatsApp/2.24",
        "TelegramBot (like TwitterBot)",
        "Slackbot-LinkExpanding 1.0",
        "Mozilla/5.0 HeadlessChrome/130",
        "python-requests/2.32",
        "curl/8.5.0",
    ],
)
def test_a_known_program(agent):
    assert scanner_of({"User-Agent": agent}) == "bots"


def test_a_page_that_is_loaded_in_advance_is_not_a_scan():
    browser = {"User-Agent": "Mozilla/5.0 Firefox/140"}
    assert scanner_of(browser) == "people"
    assert scanner_of({**browser, "Sec-Purpose": "prefetch;prerender"}) == "bots"


def test_without_headers_it_is_a_program():
    assert scanner_of({}) == "bots"


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("application/json", True),
        ("application/problem+json", True),
        ("application/json, text/plain, */*", True),
        ("text/html;q=0.5, application/json", True),
        ("text/html, application/json", False),
        ("application/json;q=0", False),
    ],
)
def test_who_prefers_json_to_a_page(accept, json):
    assert prefers_json(accept) is json


PAGES = {
    "preview": scan_pages.of_target('https://e.org/"><b>', MOMENT, is_over=False),
    "over": scan_pages.of_target("https://e.org/", MOMENT, is_over=True),
    "ended": scan_pages.of_error(Expired(MOMENT)),
    "unknown": scan_pages.of_error(NotFound("x")),
    "busy": scan_pages.of_error(DatabaseUnavailable(maybe_executed=False)),
    "fault": scan_pages.of_error(QRError("x")),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_and_loads_nothing(name):
    page = PAGES[name]
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert page.count("<h1>") == page.count("<main>") == 1
    assert len(page) < 4096
    for word in ("<script", "src=", "<link", "<form", "javascript:", "@import"):
        assert word not in page


def test_what_is_not_ours_is_escaped():
    assert "https://e.org/&quot;&gt;&lt;b&gt;" in PAGES["preview"]
    assert "<b>" not in PAGES["preview"]


def test_moments_are_for_people_and_programs():
    words = '<time datetime="2030-01-31T12:30:00Z">2030-01-31 at 12:30 UTC</time>'
    for name in ("preview", "over", "ended"):
        assert words in PAGES[name]


def test_the_policy_admits_the_style_of_the_page():
    (style,) = re.findall("<style>(.*?)</style>", PAGES["ended"], re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = scan_pages.HEADERS["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
