from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image as Raster
from PIL import ImageChops
from qr_service.engine.colours import rgb
from qr_service.engine.images import render
from qr_service.engine.layout import MAX_WIDTH
from qr_service.engine.style import FORMATS, GRADIENT_TYPES, SHAPES, Gradient, Style
from qr_service.engine.symbol import encode
from qr_service.errors import BadRequest

SYMBOL = encode("https://example.com")


def pixels(image):
    return Raster.open(BytesIO(image.body)).convert("RGBA")


def test_every_module_is_a_square_of_whole_pixels_inside_the_quiet_zone():
    style = Style(module_size=3, border=5, dark="#102030", light="#fafbfc")
    image = render(SYMBOL, style)
    raster = pixels(image)
    modules = SYMBOL.size + 2 * 5
    assert raster.size == (image.width, image.width) == (modules * 3, modules * 3)
    for y in range(image.width):
        for x in range(image.width):
            row, column = y // 3 - 5, x // 3 - 5
            inside = 0 <= row < SYMBOL.size and 0 <= column < SYMBOL.size
            dark = inside and SYMBOL.rows[row][column] == "1"
            expected = (0x10, 0x20, 0x30, 255) if dark else (0xFA, 0xFB, 0xFC, 255)
            assert raster.getpixel((x, y)) == expected


@pytest.mark.parametrize("shape", ["square", *SHAPES])
@pytest.mark.parametrize(("dark", "mode"), [("#333333", "LA"), ("#0000aa", "RGBA")])
def test_transparency_is_a_channel_of_eight_bits(shape, dark, mode):
    """Programs that make PDFs show nothing of a palette with transparency."""
    style = Style(light="transparent", dark=dark, shape=shape)
    with Raster.open(BytesIO(render(SYMBOL, style).body)) as file:
        assert file.mode == mode
        assert file.info.keys().isdisjoint({"transparency"})


def test_a_transparent_background_is_transparent_and_the_rest_is_not():
    raster = pixels(render(SYMBOL, Style(light="transparent", dark="#0000aa")))
    assert raster.getpixel((0, 0))[3] == 0
    assert raster.getpixel((45, 45)) == (0, 0, 0xAA, 255)


def test_two_colours_need_one_bit_per_pixel():
    image = render(SYMBOL, Style(dark="#112233", light="#fefefe"))
    assert image.content_type == "image/png"
    bit_depth, colour_type = image.body[24], image.body[25]
    assert (bit_depth, colour_type) == (1, 3)


@pytest.mark.parametrize(
    "style",
    [
        Style(),
        Style(shape="circle", light="transparent"),
        Style(gradient=Gradient("radial", "#700000")),
    ],
)
def test_equal_input_produces_equal_bytes(style):
    assert render(SYMBOL, style).body == render(SYMBOL, style).body


def test_an_image_that_is_too_wide_is_refused_with_what_fits():
    symbol = encode("x" * 2000, "L")
    with pytest.raises(BadRequest) as error:
        render(symbol, Style(module_size=40, border=20))
    assert error.value.fields["field"] == "module_size"
    largest = int(error.value.fields["allowed"].split()[0].split("..")[1])
    assert render(symbol, Style(module_size=largest, border=20)).width <= MAX_WIDTH
    with pytest.raises(BadRequest):
        render(symbol, Style(module_size=largest + 1, border=20))


@pytest.mark.parametrize("shape", sorted({*SHAPES} - {"square"}))
def test_a_shape_in_small_modules_is_refused_with_the_least_size(shape):
    for size in (1, 3):
        with pytest.raises(BadRequest) as error:
            render(SYMBOL, Style(shape=shape, module_size=size))
        assert error.value.fields["field"] == "module_size"
        assert error.value.fields["allowed"].startswith("4..40 ")
    assert render(SYMBOL, Style(shape=shape, module_size=4))
    assert render(SYMBOL, Style(shape=shape, module_size=1, format="svg"))


LIGHTS = ["#ffffff", "#fff8e7", "transparent"]


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("gradient", GRADIENT_TYPES)
def test_a_gradient_starts_dark_and_ends_in_its_other_colour(gradient, light):
    """It runs from top to bottom, or from the centre; the background is unchanged."""
    style = Style(dark="#000080", light=light, gradient=Gradient(gradient, "#800000"))
    raster = pixels(render(SYMBOL, style))
    edge, far = 4 * 10, raster.width - 4 * 10 - 1
    dark = [
        (x, y) for x in range(edge, far) for y in range(edge, far) if on(SYMBOL, x, y)
    ]
    ends = raster.getpixel((edge, edge)), raster.getpixel((edge, far))
    if gradient == "linear":
        share = edge / raster.width
        less, more = 0x80 * share, 0x80 * (1 - share)
        assert ends[0][:3] == pytest.approx((less, 0, more), abs=2)
        assert ends[1][:3] == pytest.approx((more, 0, less), abs=2)
    else:
        assert ends[0] == pytest.approx(ends[1], abs=3), "the same at every corner"
        middle = min(dark, key=lambda p: abs(p[0] - far / 2) + abs(p[1] - far / 2))
        red, _, blue, _ = raster.getpixel(middle)
        assert blue > 0x60 > red
    for red, green, blue, alpha in {raster.getpixel(point) for point in dark}:
        assert green == 0
        assert red + blue == pytest.approx(0x80, abs=2)
        assert alpha == 255
    red, green, blue, alpha = raster.getpixel((0, 0))
    assert alpha == (0 if light == "transparent" else 255)
    assert light == "transparent" or (red, green, blue) == rgb(light)


def on(symbol, x, y):
    return symbol.rows[y // 10 - 4][x // 10 - 4] == "1"


@pytest.mark.parametrize("shape", SHAPES)
def test_only_the_two_colours_and_shades_between_them_occur(shape):
    style = Style(dark="#102030", light="#f0e0d0", shape=shape)
    raster = pixels(render(SYMBOL, style))
    found = {colour for _, colour in raster.getcolors(256)}
    assert {(0x10, 0x20, 0x30, 255), (0xF0, 0xE0, 0xD0, 255)} <= found
    assert len(found) == 2 if shape == "square" else len(found) <= 16
    for red, green, blue, alpha in found:
        share = (0xF0 - red) / (0xF0 - 0x10)
        assert green == pytest.approx(0xE0 - share * (0xE0 - 0x20), abs=1)
        assert blue == pytest.approx(0xD0 - share * (0xD0 - 0x30), abs=1)
        assert alpha == 255


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gradient", [None, Gradient("radial", "#700000")])
def test_a_transparent_picture_on_white_equals_the_opaque_one(shape, gradient):
    style = Style(dark="#000070", shape=shape, gradient=gradient)
    layer = pixels(render(SYMBOL, replace(style, light="transparent")))
    paper = Raster.new("RGBA", layer.size, "white")
    opaque = pixels(render(SYMBOL, style))
    difference = ImageChops.difference(Raster.alpha_composite(paper, layer), opaque)
    assert max(high for _, high in difference.getextrema()) <= 1


def test_every_format_has_a_content_type_of_its_own():
    types = {render(SYMBOL, Style(format=each)).content_type for each in FORMATS}
    assert len(types) == len(FORMATS), "engine/images.py: a branch in render is missing"
