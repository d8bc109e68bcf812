"""Styles, logos and dry runs with the real handlers and servers."""

import json

import pytest
from qr_service.engine.readback import read

from local.http import get
from tests.support.gateway import Context, event, get_retrieve, post_generate
from tests.support.logos import data_url, letter
from tests.support.scanners import needs_zbar, zbar_reads

pytestmark = pytest.mark.usefixtures("functions", "database", "bucket")

DATA = "https://example.com/styles"
LOGO = data_url(letter())


def fetch(functions, qr_id):
    url = get_retrieve(functions.retrieve, qr_id).body["qr_code"]
    image = get(url)
    assert image.status == 200
    return image.headers["Content-Type"], image.body


def test_the_dry_run_example_stores_no_code(functions, database, bucket):
    answer = functions.generate(event("generate/dry_run"), Context())
    assert answer["statusCode"] == 200
    body = json.loads(answer["body"])
    assert body.pop("spare_bits") >= 0
    assert body == {
        "version": 3,
        "error_correction": "H",
        "width": (29 + 8) * 10,
        "format": "png",
        "margin": 1.0,
        "scans": True,
    }
    assert database("SELECT count(*) FROM qr_codes") == [(0,)]
    assert not bucket.keys()


@needs_zbar
@pytest.mark.parametrize(
    ("style", "content_type"),
    [
        ({"format": "svg"}, "image/svg+xml"),
        ({"format": "svg", "shape": "circle", "light": "transparent"}, "image/svg+xml"),
        ({"shape": "rounded", "dark": "#1A237E", "light": "#FFF8E7"}, "image/png"),
        ({"light": "transparent"}, "image/png"),
        ({"gradient": {"type": "radial", "to": "#7A0026"}}, "image/png"),
        ({"logo": LOGO, "logo_size": 0.2}, "image/png"),
        ({"logo": LOGO, "format": "svg"}, "image/svg+xml"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_stored_image_is_read_by_two_scanners(functions, style, content_type):
    reply = post_generate(functions.generate, {"data": DATA, **style})
    assert reply.status == 201
    found, body = fetch(functions, reply.body["qr_id"])
    assert found == content_type
    assert read(body).payload == zbar_reads(body) == DATA.encode()


def test_the_answer_describes_the_code(functions):
    body = {"data": DATA, "format": "svg", "logo": LOGO, "logo_size": 0.2}
    reply = post_generate(functions.generate, body).body
    assert reply.pop("qr_id")
    assert reply.pop("expires_at")
    assert 0.4 <= reply.pop("margin") < 1
    version = reply.pop("version")
    assert reply == {
        "error_correction": "H",
        "width": (17 + 4 * version + 8) * 10,
        "format": "svg",
        "logo_size": 0.2,
    }


def test_the_style_is_stored_and_the_logo_is_not(functions, database):
    gradient = {"type": "linear", "to": "#7a0026"}
    body = {"data": DATA, "format": "svg", "logo": LOGO, "gradient": gradient}
    qr_id = post_generate(functions.generate, body).body["qr_id"]
    ((options, key, content_type),) = database(
        "SELECT options, object_key, content_type FROM qr_codes"
    )
    assert (options["format"], options["gradient"]) == ("svg", gradient)
    assert "logo" not in options
    assert (key, content_type) == (f"codes/{qr_id}.svg", "image/svg+xml")


def test_a_repeated_request_with_a_logo_gets_the_same_answer(functions, database):
    body = {"data": DATA, "logo": LOGO, "shape": "rounded"}
    key = {"Idempotency-Key": "a-logo"}
    first = post_generate(functions.generate, body, key)
    again = post_generate(functions.generate, body, key)
    other = post_generate(functions.generate, {**body, "shape": "circle"}, key)
    assert (first.status, again.status, other.status) == (201, 201, 422)
    assert first.body == again.body
    assert database("SELECT count(*) FROM qr_codes") == [(1,)]


@pytest.mark.parametrize(
    ("style", "status", "code", "field"),
    [
        (
            {"logo": LOGO, "logo_size": 0.24, "boost_error_correction": False},
            422,
            "unscannable",
            "logo_size",
        ),
        ({"logo": LOGO, "logo_size": 0.5}, 400, "out_of_range", "logo_size"),
        ({"gradient": {"to": "#ffffee"}}, 422, "unscannable", "gradient"),
        ({"dark": "#ffffff"}, 422, "unscannable", "dark"),
        ({"logo": "https://example.com/x.png"}, 400, "out_of_range", "logo"),
        ({"logo": data_url(b"GIF89a")}, 400, "out_of_range", "logo"),
        ({"logo_size": 0.2}, 400, "out_of_range", "logo_size"),
        ({"shape": "circle", "module_size": 3}, 400, "out_of_range", "module_size"),
        ({"shape": "star"}, 400, "out_of_range", "shape"),
    ],
)
def test_a_refused_style_stores_nothing(
    functions, database, bucket, style, status, code, field
):
    reply = post_generate(functions.generate, {"data": DATA, **style})
    assert (reply.status, reply.body["code"]) == (status, code)
    assert reply.body["field"] == field
    assert reply.body["allowed"]
    assert database("SELECT count(*) FROM qr_codes") == [(0,)]
    assert not bucket.keys()


def test_a_dry_run_refuses_data_that_is_too_long(functions):
    request = event("generate/dry_run")
    request["body"] = json.dumps({"data": "x" * 4000})
    answer = functions.generate(request, Context())
    assert answer["statusCode"] == 422
    assert json.loads(answer["body"])["code"] == "data_too_long"


@pytest.mark.parametrize("value", ["1", "True", "yes", ""])
def test_dry_run_accepts_only_true(functions, database, bucket, value):
    request = event("generate/dry_run")
    request["queryStringParameters"]["dry_run"] = value
    request["multiValueQueryStringParameters"]["dry_run"] = [value]
    answer = functions.generate(request, Context())
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["field"]) == (400, "dry_run")
    assert bucket.keys() == set()
