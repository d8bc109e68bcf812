import json

import pytest
from qr_service.edge.request import MAX_BODY, check_idempotency_key, parse
from qr_service.engine.logo import decode
from qr_service.engine.style import Gradient, Style
from qr_service.errors import BadRequest, BodyTooLarge

# A PNG of one red pixel.
LOGO = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8"
    "z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)


def body(**fields):
    return json.dumps({"data": "x", **fields}).encode()


def refusal(raw, settings):
    with pytest.raises(BadRequest) as error:
        parse(raw, settings)
    return error.value


def test_defaults_are_those_of_the_contract(settings):
    request = parse(b'{"data": "https://example.com"}', settings)
    assert request.data == "https://example.com"
    assert request.expiration_hours == 24
    assert request.error_correction == "M"
    assert request.boost_error_correction is True
    assert request.eci == "auto"
    assert request.style == Style()
    assert Style() == Style(
        format="png",
        module_size=10,
        width=None,
        size_mm=None,
        dpi=300,
        border=4,
        dark="#000000",
        light="#ffffff",
        shape="square",
        gradient=None,
        logo=None,
        logo_size=None,
    )


def test_every_field_is_read(settings):
    raw = body(
        expiration_hours=8760,
        error_correction="H",
        boost_error_correction=False,
        eci="never",
        format="svg",
        module_size=40,
        border=20,
        dark="#1A3C8F",
        light="transparent",
        shape="rounded",
        gradient={"type": "radial", "to": "#8B0000"},
        logo=LOGO,
        logo_size=0.2,
    )
    request = parse(raw, settings)
    assert request.expiration_hours == 8760
    assert request.error_correction == "H"
    assert request.boost_error_correction is False
    assert request.eci == "never"
    assert request.style == Style(
        format="svg",
        module_size=40,
        border=20,
        dark="#1a3c8f",
        light="transparent",
        shape="rounded",
        gradient=Gradient("radial", "#8b0000"),
        logo=decode(LOGO),
        logo_size=0.2,
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"data": NaN}',
        b'{"data": "x", "border": Infinity}',
        b'{"data": "x", "border": -1e999}',
        b'{"data": "x", "data": "y"}',
        b'{"data": "x", "border": ' + b"9" * 5000 + b"}",
        b'["data"]',
        b'"data"',
        b"null",
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(raw, settings):
    assert refusal(raw, settings).code == "invalid_json"


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "There is no body."),
        (b"\xff", "The body is not UTF-8."),
        (b'{"data":\n  x}', "The body is not JSON: line 2, column 3."),
        (b"[" * 100_000, "The body is nested too deep"),
    ],
)
def test_a_refusal_of_a_body_says_what_is_wrong_and_where(raw, detail, settings):
    assert refusal(raw, settings).detail.startswith(detail)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"data": None}, "invalid_type", "data"),
        ({"data": 5}, "invalid_type", "data"),
        ({"data": ["x"]}, "invalid_type", "data"),
        ({"data": ""}, "out_of_range", "data"),
        ({"data": "a\0b"}, "out_of_range", "data"),
        ({"data": "\ud800"}, "out_of_range", "data"),
        ({"expiration_hours": "24"}, "invalid_type", "expiration_hours"),
        ({"expiration_hours": True}, "invalid_type", "expiration_hours"),
        ({"expiration_hours": 0.019}, "out_of_range", "expiration_hours"),
        ({"expiration_hours": 8760.001}, "out_of_range", "expiration_hours"),
        ({"expiration_hours": None}, "invalid_type", "expiration_hours"),
        ({"expiration_hours": 0}, "out_of_range", "expiration_hours"),
        ({"expiration_hours": 8761}, "out_of_range", "expiration_hours"),
        ({"error_correction": "X"}, "out_of_range", "error_correction"),
        ({"boost_error_correction": 1}, "invalid_type", "boost_error_correction"),
        ({"boost_error_correction": "no"}, "invalid_type", "boost_error_correction"),
        ({"eci": True}, "invalid_type", "eci"),
        ({"eci": "always"}, "out_of_range", "eci"),
        ({"error_correction": "m"}, "out_of_range", "error_correction"),
        ({"error_correction": 1}, "invalid_type", "error_correction"),
        ({"format": "gif"}, "out_of_range", "format"),
        ({"width": 24}, "out_of_range", "width"),
        ({"width": 4097}, "out_of_range", "width"),
        ({"width": 300.5}, "invalid_type", "width"),
        ({"size_mm": 4.9}, "out_of_range", "size_mm"),
        ({"size_mm": "30"}, "invalid_type", "size_mm"),
        ({"size_mm": 1001}, "out_of_range", "size_mm"),
        ({"size_mm": 30, "dpi": 71}, "out_of_range", "dpi"),
        ({"size_mm": 30, "dpi": 2401}, "out_of_range", "dpi"),
        ({"dpi": 600}, "out_of_range", "dpi"),
        ({"width": 300, "module_size": 10}, "out_of_range", "width"),
        ({"module_size": 10, "size_mm": 30}, "out_of_range", "size_mm"),
        ({"width": 300, "size_mm": 30}, "out_of_range", "size_mm"),
        ({"format": "eps", "gradient": {"to": "#8b0000"}}, "out_of_range", "gradient"),
        ({"format": "pdf", "logo": LOGO}, "out_of_range", "logo"),
        ({"module_size": 0}, "out_of_range", "module_size"),
        ({"module_size": 41}, "out_of_range", "module_size"),
        ({"border": 1}, "out_of_range", "border"),
        ({"border": 21}, "out_of_range", "border"),
        ({"dark": "black"}, "out_of_range", "dark"),
        ({"dark": "transparent"}, "out_of_range", "dark"),
        ({"dark": "#00000"}, "out_of_range", "dark"),
        ({"dark": "#000000\n"}, "out_of_range", "dark"),
        ({"light": 0xFFFFFF}, "invalid_type", "light"),
        ({"shape": "star"}, "out_of_range", "shape"),
        ({"gradient": "#ff0000"}, "invalid_type", "gradient"),
        ({"gradient": {"type": "radial"}}, "missing_field", "gradient.to"),
        ({"gradient": {"to": "red"}}, "out_of_range", "gradient.to"),
        (
            {"gradient": {"to": "#8b0000", "type": "conic"}},
            "out_of_range",
            "gradient.type",
        ),
        (
            {"gradient": {"to": "#8b0000", "from": "#000000"}},
            "unknown_field",
            "gradient.from",
        ),
        ({"logo": "https://example.com/logo.png"}, "out_of_range", "logo"),
        ({"logo": "data:image/svg+xml;base64,PHN2Zz4="}, "out_of_range", "logo"),
        ({"logo": 5}, "invalid_type", "logo"),
        ({"logo_size": 0.2}, "out_of_range", "logo_size"),
        ({"logo": LOGO, "logo_size": "0.2"}, "invalid_type", "logo_size"),
        ({"logo": LOGO, "logo_size": True}, "invalid_type", "logo_size"),
        ({"logo": LOGO, "logo_size": 0.6}, "out_of_range", "logo_size"),
        ({"Data": "x"}, "unknown_field", "Data"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(fields, code, field, settings):
    error = refusal(body(**fields), settings)
    assert (error.code, error.fields["field"]) == (code, field)
    assert error.fields["allowed"]
    assert field in error.detail


@pytest.mark.parametrize("hours", ["24", "24.0", "2.4e1", "240E-1"])
def test_whole_hours_are_the_same_however_they_are_written(hours, settings):
    request = parse(f'{{"data": "x", "expiration_hours": {hours}}}'.encode(), settings)
    assert request.expiration_hours == 24
    assert request.digest == parse(body(expiration_hours=24), settings).digest


def test_hours_may_have_fractions(settings):
    request = parse(body(expiration_hours=0.02), settings)
    assert request.expiration_hours == 0.02
    assert request.digest != parse(body(expiration_hours=0.03), settings).digest


def test_a_byte_order_mark_is_ignored(settings):
    assert parse(b"\xef\xbb\xbf" + body(), settings) == parse(body(), settings)


def test_a_missing_field_is_named(settings):
    error = refusal(b"{}", settings)
    assert (error.code, error.fields["field"]) == ("missing_field", "data")


@pytest.mark.parametrize("field", ["error_correction", "logo", "dark"])
@pytest.mark.parametrize("value", ["x" * 10_000, ["x"] * 10_000, 10**1000])
def test_a_refusal_quotes_little_of_a_wrong_value(field, value, settings):
    received = refusal(body(**{field: value}), settings).fields["received"]
    assert len(received) == 64
    assert received.endswith("…")


def test_a_value_that_utf8_cannot_encode_is_quoted_escaped(settings):
    error = refusal(body(error_correction="\ud800"), settings)
    assert error.fields["received"] == "\\ud800"
    json.dumps(error.fields).encode()


def test_the_size_of_a_body_is_checked_before_parsing(settings):
    largest = b'{"data": "x"}'.ljust(MAX_BODY)
    assert parse(largest, settings).data == "x"
    with pytest.raises(BodyTooLarge):
        parse(b"{" + b" " * MAX_BODY, settings)


def test_the_digest_depends_on_the_meaning_of_a_body(settings):
    one = parse(b'{"data": "x", "border": 4}', settings)
    same = parse(b'{ "border":4,\n "data":"\\u0078" }', settings)
    other = parse(b'{"data": "x", "border": 5}', settings)
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 32


@pytest.mark.parametrize("key", ["a", "x" * 255, "order 7/8 ~!"])
def test_an_idempotency_key_is_printable_ascii(key):
    assert check_idempotency_key(key) == key
    assert check_idempotency_key(f" {key} \t") == key


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "é", "a\tb", "a\n"])
def test_any_other_idempotency_key_is_refused(key):
    with pytest.raises(BadRequest) as error:
        check_idempotency_key(key)
    assert error.value.fields["field"] == "Idempotency-Key"
