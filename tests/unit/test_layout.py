"""The size of an image: whole dots for a printer, and refusals that say what works."""

import re
import struct
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Raster
from qr_service.engine.images import render
from qr_service.engine.layout import LEAST_MM, MAX_WIDTH, lay_out
from qr_service.engine.readback import read
from qr_service.engine.style import FORMATS, PRINT_FORMATS, SHAPES, Gradient, Style
from qr_service.engine.symbol import encode
from qr_service.errors import BadField

SYMBOL = encode("https://example.com/menu/terrace")
MODULES = SYMBOL.size + 8
INCH = 25.4
DPIS = (203, 300, 600)
BLENDED = {"gradient": Gradient("linear", "#700000")}


def dots_of(body):
    """Return the first row with dark pixels, as runs of (shade, length)."""
    raster = Raster.open(BytesIO(body)).convert("L")
    left, top, right, bottom = raster.point(lambda value: 255 - value).getbbox()
    line = raster.crop((left, top, right, top + 1)).tobytes()
    runs = [len(run.group()) for run in re.finditer(rb"(.)\1*", line, re.DOTALL)]
    return runs, (left, top, raster.width - right, raster.height - bottom)


def density(body):
    """Return pixels per metre, across and down, from the pHYs chunk."""
    place = body.index(b"pHYs") + 4
    across, down, unit = struct.unpack(">IIB", body[place : place + 9])
    assert unit == 1, "the unit is the metre"
    assert body.index(b"pHYs") < body.index(b"IDAT")
    return across, down


@pytest.mark.parametrize("side", [20, 25.4, 31.7, 100])
@pytest.mark.parametrize("dpi", DPIS)
def test_a_printed_module_has_whole_dots_and_the_side_is_kept(dpi, side):
    image = render(SYMBOL, Style(size_mm=side, dpi=dpi))
    module_size = round(image.module_mm / INCH * dpi)
    runs, edges = dots_of(image.body)
    assert module_size >= 4
    assert {run % module_size for run in runs} == {0}
    assert runs[0] == 7 * module_size, "the upper edge of a finder pattern"
    assert len(set(edges)) == 1, "in the middle"
    assert edges[0] >= 4 * module_size
    raster = Raster.open(BytesIO(image.body))
    assert raster.width == raster.height == image.width
    assert density(image.body) == (round(dpi / 0.0254),) * 2
    printed = raster.width / density(image.body)[0] * 1000  # millimetres
    assert printed == pytest.approx(image.width_mm, rel=1e-4)
    assert abs(printed - side) <= 1.5 * INCH / dpi * 1.001, "dots on both sides alike"


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"light": "transparent"},
        {"dark": "#10104a", "light": "#fff8e7"},
        {"shape": "rounded"},
        {"shape": "circle", "light": "transparent"},
        BLENDED,
        {**BLENDED, "light": "transparent"},
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [23, 23.5, 24])
def test_every_kind_of_png_has_the_same_printed_size(side, style):
    image = render(SYMBOL, Style(size_mm=side, dpi=203, **style))
    assert density(image.body) == (round(203 / 0.0254),) * 2
    raster = Raster.open(BytesIO(image.body))
    assert raster.size == (image.width, image.width)
    assert abs(image.width_mm - side) <= 1.5 * INCH / 203
    assert read(image.body).payload == b"https://example.com/menu/terrace"


def test_a_resolution_at_which_no_png_is_large_enough_is_refused():
    for side in (20, 60, 200):
        with pytest.raises(BadField) as error:
            lay_out(177, Style(size_mm=side, dpi=2400))
        assert error.value.fields["field"] == "dpi"
    assert lay_out(177, Style(size_mm=62, dpi=2400, format="pdf"))


@given(
    st.integers(1, 40).map(lambda version: 17 + 4 * version),
    st.integers(2, 20),
    st.floats(5, 1000),
    st.integers(72, 2400),
    st.sampled_from(FORMATS),
)
def test_a_printed_size_is_kept_or_refused_with_one_that_is(
    size, border, side, dpi, form
):
    style = Style(size_mm=side, dpi=dpi, border=border, format=form)
    layout = refusal = None
    try:
        layout = lay_out(size, style)
    except BadField as error:
        refusal = error.fields
    if refusal and refusal["field"] == "dpi":
        assert form == "png"
        assert refusal["allowed"] == "a lower one, or format svg, pdf or eps"
        return
    if refusal:
        assert refusal["field"] == "size_mm"
        least, most = map(float, refusal["allowed"].split()[0].split(".."))
        assert not least <= side <= most
        for works in (least, most):
            assert lay_out(size, replace(style, size_mm=works))
        return
    assert layout.module_mm >= LEAST_MM
    assert layout.module_mm / INCH * dpi > 3.999
    assert abs(layout.width_mm - side) <= 1.5 * INCH / dpi * 1.001
    if form == "png":
        assert layout.width <= MAX_WIDTH
        assert layout.width == size * layout.module_size + 2 * layout.margin
        assert layout.margin >= border * layout.module_size
        assert layout.margin < (border + 1) * layout.module_size + size


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("dpi", "least"), [(203, 18.6), (300, 12.6), (600, 12.3), (2400, 12.3)]
)
def test_the_least_side_has_four_dots_and_a_third_of_a_millimetre_a_module(
    dpi, least, form
):
    size = 29
    least = {("png", 600): 12.6, ("png", 2400): 12.6}.get((form, dpi), least)
    with pytest.raises(BadField) as error:
        lay_out(size, Style(size_mm=least - 0.1, dpi=dpi, format=form))
    assert error.value.fields["allowed"].startswith(f"{least:g}..")
    assert lay_out(size, Style(size_mm=least, dpi=dpi, format=form))


def test_a_width_is_the_most_that_whole_modules_fill():
    for width in (MODULES, 2 * MODULES - 1, 300, 4096):
        image = render(SYMBOL, Style(width=width))
        assert image.width <= width < image.width + MODULES
        assert image.width % MODULES == 0
        assert Raster.open(BytesIO(image.body)).width == image.width
    with pytest.raises(BadField) as error:
        render(SYMBOL, Style(width=MODULES - 1))
    assert error.value.fields["field"] == "width"
    assert error.value.fields["allowed"].startswith(f"{MODULES}..4")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_width_too_small_for_a_shape_is_refused_with_the_least(shape):
    least = MODULES * (1 if shape == "square" else 4)
    assert render(SYMBOL, Style(width=least, shape=shape))
    with pytest.raises(BadField) as error:
        render(SYMBOL, Style(width=least - 1, shape=shape))
    assert error.value.fields["allowed"].startswith(f"{least}..")


def test_an_svg_has_millimetres_if_they_are_given():
    body = render(SYMBOL, Style(format="svg", size_mm=30)).body
    assert b' width="30mm" height="30mm" ' in body
    body = render(SYMBOL, Style(format="svg", width=300)).body
    assert f' width="{300 // MODULES * MODULES}" '.encode() in body


@pytest.mark.parametrize("form", PRINT_FORMATS)
def test_a_pixel_of_a_print_format_is_a_300th_of_an_inch(form):
    image = render(SYMBOL, Style(format=form))
    assert image.module_mm == pytest.approx(10 * INCH / 300)
    assert image.width_mm == pytest.approx(MODULES * 10 * INCH / 300)
    with pytest.raises(BadField):
        render(SYMBOL, Style(format=form, module_size=3))


def test_only_what_is_printed_has_millimetres():
    for form in ("png", "svg"):
        image = render(SYMBOL, Style(format=form))
        assert (image.module_mm, image.width_mm) == (None, None)
        assert b"pHYs" not in image.body
