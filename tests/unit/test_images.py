from io import BytesIO

import pytest
from PIL import Image as Raster
from qr_service.errors import BadRequest
from qr_service.images import MAX_WIDTH, render
from qr_service.style import Style
from qr_service.symbol import encode

SYMBOL = encode("https://example.com")


def pixels(image):
    return Raster.open(BytesIO(image.body)).convert("RGBA")


def test_every_module_is_a_square_of_whole_pixels_in_a_quiet_zone():
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


def test_a_transparent_background_is_transparent_and_the_rest_is_not():
    raster = pixels(render(SYMBOL, Style(light="transparent", dark="#0000aa")))
    assert raster.getpixel((0, 0))[3] == 0
    assert raster.getpixel((45, 45)) == (0, 0, 0xAA, 255)


def test_two_colours_cost_one_bit_a_pixel():
    image = render(SYMBOL, Style(dark="#112233", light="#fefefe"))
    assert image.content_type == "image/png"
    bit_depth, colour_type = image.body[24], image.body[25]
    assert (bit_depth, colour_type) == (1, 3)


def test_equal_input_gives_equal_bytes():
    assert render(SYMBOL, Style()).body == render(SYMBOL, Style()).body


def test_refuses_more_than_the_widest_image_and_says_what_fits():
    symbol = encode("x" * 2000, "L")
    with pytest.raises(BadRequest) as error:
        render(symbol, Style(module_size=40, border=20))
    assert error.value.fields["field"] == "module_size"
    largest = int(error.value.fields["allowed"].split()[0].split("..")[1])
    assert render(symbol, Style(module_size=largest, border=20)).width <= MAX_WIDTH
    with pytest.raises(BadRequest):
        render(symbol, Style(module_size=largest + 1, border=20))
