from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from qr_service.codes import Code
from qr_service.stores.presigned import PresignedUrls

NOON = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)


def code(life):
    return Code("id", NOON.replace(microsecond=0) + life, "codes/id.png", "image/png")


def test_a_url_contains_bucket_object_and_type(settings):
    url, _ = PresignedUrls(settings).of_image(code(timedelta(hours=1)), NOON)
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert parts.scheme == "https"
    assert parts.netloc == "codes.s3.eu-west-1.amazonaws.com"
    assert parts.path == "/codes/id.png"
    assert query["response-cache-control"] == ["private, immutable"]
    assert query["response-expires"] == ["Sun, 01 Mar 2026 12:15:00 GMT"]
    assert query["response-content-type"] == ["image/png"]


def test_a_local_endpoint_has_path_style_urls(settings):
    local = replace(settings, s3_endpoint_url="http://127.0.0.1:4566")
    url, _ = PresignedUrls(local).of_image(code(timedelta(hours=1)), NOON)
    assert url.startswith("http://127.0.0.1:4566/codes/codes/id.png?")


@pytest.mark.parametrize(
    "life", [timedelta(days=1), timedelta(seconds=900), timedelta(seconds=2)]
)
@pytest.mark.parametrize("after", [0, 1, 99, 299])
def test_a_url_expires_with_its_code_or_after_15_minutes(settings, life, after):
    now = NOON + timedelta(seconds=after)
    end = now.replace(microsecond=0) + life
    url, expires_at = PresignedUrls(settings).of_image(
        Code("id", end, "codes/id.png", "image/png"), now
    )
    query = parse_qs(urlsplit(url).query)
    start = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z")
    seconds = int(query["X-Amz-Expires"][0])
    assert seconds <= 900
    assert expires_at == start + timedelta(seconds=seconds) <= end
    steady = min(timedelta(seconds=300), min(timedelta(seconds=900), life) / 3)
    assert timedelta() <= now - start < steady + timedelta(seconds=1)
    assert query["response-expires"] == [format_datetime(expires_at, usegmt=True)]


def test_a_url_stays_the_same_for_five_minutes(settings):
    its_code = code(timedelta(hours=1))
    urls = [
        PresignedUrls(settings).of_image(its_code, NOON + timedelta(seconds=seconds))[0]
        for seconds in (0, 150, 299, 300)
    ]
    assert urls[0] == urls[1] == urls[2] != urls[3]


def test_a_url_for_head_is_signed_for_it(settings):
    signer = PresignedUrls(settings)
    get, _ = signer.of_image(code(timedelta(hours=1)), NOON)
    head, _ = signer.of_image(code(timedelta(hours=1)), NOON, "HEAD")
    assert get.partition("X-Amz-Signature")[0] == head.partition("X-Amz-Signature")[0]
    assert get != head
