from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from qr_service.codes import Code
from qr_service.stores.presigned import PresignedUrls

NOON = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)


def code(life):
    return Code("id", NOON.replace(microsecond=0) + life, "codes/id.png", "image/png")


def test_a_url_contains_bucket_object_type_and_file_name(settings):
    url, _ = PresignedUrls(settings).of_image(code(timedelta(hours=1)), NOON)
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert parts.scheme == "https"
    assert parts.netloc == "codes.s3.eu-west-1.amazonaws.com"
    assert parts.path == "/codes/id.png"
    assert query["response-cache-control"] == ["private, max-age=900, immutable"]
    assert query["response-content-type"] == ["image/png"]
    assert query["response-content-disposition"] == ['inline; filename="id.png"']


def test_a_local_endpoint_has_path_style_urls(settings):
    local = replace(settings, s3_endpoint_url="http://127.0.0.1:4566")
    url, _ = PresignedUrls(local).of_image(code(timedelta(hours=1)), NOON)
    assert url.startswith("http://127.0.0.1:4566/codes/codes/id.png?")


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        (timedelta(days=1), 900),
        (timedelta(seconds=900), 900),
        (timedelta(seconds=899), 899),
        (timedelta(seconds=2), 2),
    ],
)
def test_a_url_expires_with_its_code_or_after_15_minutes(settings, life, seconds):
    its_code = code(life)
    url, expires_at = PresignedUrls(settings).of_image(its_code, NOON)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Date"] == ["20260301T120000Z"]
    assert query["X-Amz-Expires"] == [str(seconds)]
    assert expires_at == NOON.replace(microsecond=0) + timedelta(seconds=seconds)
    assert expires_at <= its_code.expires_at
