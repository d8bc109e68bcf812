"""Faults that were reported of other QR software, at the running service."""

import base64
import re
from io import BytesIO

import pytest
import resvg_py
from PIL import Image as Raster
from qr_service.engine.readback import read

from local import http
from tests.support.languages import TEXTS
from tests.support.logos import data_url, file, hostile, letter, unusual
from tests.support.scanners import needs_zbar, opencv_reads, zbar_reads

LOGO = data_url(letter())


@pytest.fixture(scope="module")
def generate(service):
    def generate(data, **fields):
        return http.post(f"{service}/generate", {"data": data, **fields})

    return generate


@pytest.fixture(scope="module")
def image(service, generate):
    """Return a function that creates a code and fetches its image."""

    def image(data, **fields):
        created = generate(data, **fields)
        assert created.status == 201, created
        found = http.get(f"{service}/retrieve/{created.json['qr_id']}")
        return created.json, http.get(found.json["qr_code"]).body

    return image


def test_digits_between_letters_fit_in_the_smallest_symbol(image):
    data = "a1234567890123456789" * 200
    code, body = image(data, error_correction="L")
    assert code["version"] == 39
    assert read(body).payload == data.encode()


@needs_zbar
@pytest.mark.parametrize("data", TEXTS[::3])
def test_text_beyond_ascii_is_read_as_it_was_written(image, data):
    """Of all these texts, tests/unit has the images."""
    _, body = image(data)
    assert zbar_reads(body) == data.encode()


@pytest.mark.parametrize(
    ("data", "bits"), [("https://example.com/?q=ascii", 0), ("Tromsø", 12)]
)
def test_only_text_beyond_ascii_is_announced(service, data, bits):
    """The announcement has 12 bits."""
    auto, never = (
        http.post(
            f"{service}/generate?dry_run=true",
            {"data": data, "eci": eci, "boost_error_correction": False},
        ).json["spare_bits"]
        for eci in ("auto", "never")
    )
    assert never - auto == bits


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
@pytest.mark.parametrize("logo", [{}, {"logo": LOGO, "logo_size": 0.08}])
def test_the_level_stays_as_requested(image, level, logo):
    code, _ = image(
        "SPC\n0200\n1\nCH5800791123000889012",
        error_correction=level,
        boost_error_correction=False,
        **logo,
    )
    assert code["error_correction"] == level


@needs_zbar
@pytest.mark.parametrize("dark", ["#808080", "#4CAF50", "#999999", "#E6E600"])
def test_a_colour_that_libraries_do_not_see_is_refused_with_one_that_they_do(
    generate, image, dark
):
    refused = generate("https://example.com", dark=dark)
    assert refused.status == 422
    assert refused.json["field"] == "dark"
    _, body = image("https://example.com", dark=refused.json["allowed"])
    assert zbar_reads(body) == opencv_reads(body) == b"https://example.com"


@needs_zbar
@pytest.mark.parametrize(
    "style",
    [
        {"shape": "circle", "module_size": 4},
        {"shape": "circle", "module_size": 10, "dark": "#E53935"},
        {"shape": "circle", "module_size": 11, "dark": "#2E7D32"},
        {"shape": "gapped", "module_size": 6},
        {"shape": "gapped", "gradient": {"type": "linear", "to": "#7e7e7e"}},
    ],
)
def test_shapes_are_read_in_every_size(image, style):
    _, body = image("https://example.com/shapes", **style)
    assert zbar_reads(body) == opencv_reads(body) == b"https://example.com/shapes"


@pytest.mark.parametrize("name", unusual())
def test_a_valid_logo_of_any_kind_is_accepted(image, name):
    body, kind = unusual()[name]
    _, drawn = image("logo", logo=data_url(body, kind), error_correction="H")
    assert read(drawn).payload == b"logo"


def test_a_logo_in_wrapped_base64_without_padding_is_accepted(image):
    text = base64.encodebytes(letter()).decode().rstrip("=\n")
    code, _ = image("logo", logo=f"data:image/png;base64,{text}")
    assert code["logo_size"] > 0


@pytest.mark.parametrize("name", hostile())
def test_a_hostile_logo_is_refused(generate, name):
    body, kind = hostile()[name]
    refused = generate("logo", logo=data_url(body, kind))
    assert (refused.status, refused.json["field"]) == (400, "logo")
    if "bomb" in name:
        assert "at most 1000000 pixels" in str(refused.json)


def test_the_largest_logo_is_that_of_the_documented_range(generate):
    for size, status in ((0.243, (201, 422)), (0.244, (400,))):
        assert generate("x", logo=LOGO, logo_size=size).status in status


@needs_zbar
def test_an_svg_is_drawn_alike_by_other_programs(image):
    _, body = image(
        "svg",
        format="svg",
        error_correction="H",
        logo=LOGO,
        gradient={"type": "radial", "to": "#7a0026"},
    )
    text = body.decode()
    assert "stroke" not in text
    assert text.count("xlink:href=") == 1
    assert text.count("<stop offset=") == 2
    drawn = resvg_py.svg_to_bytes(svg_string=text, background="#ffffff")
    assert zbar_reads(drawn) == b"svg"
    _, other = image(
        "svg 2", format="svg", gradient={"type": "linear", "to": "#000080"}
    )
    assert ids(text).isdisjoint(ids(other.decode()))


def ids(text):
    found = set(re.findall(r'id="([^"]+)"', text))
    assert found
    return found


@pytest.mark.parametrize(("dark", "mode"), [("#000000", "LA"), ("#123456", "RGBA")])
def test_a_transparent_png_has_a_channel_for_it(image, dark, mode):
    """Palettes with transparency are blank in PDFs."""
    _, body = image("transparent", dark=dark, light="transparent")
    assert Raster.open(BytesIO(body)).mode == mode
    assert file(Raster.open(BytesIO(body)))  # it can be decoded in full
