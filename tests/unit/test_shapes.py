"""Modules of each shape, and finder eyes, which are the same in every shape."""

import pytest
from qr_service.engine.images import LEAST_SHAPED, render
from qr_service.engine.shapes import EYE, in_eye, shade_rows
from qr_service.engine.style import SHAPES, Style
from qr_service.engine.symbol import encode

from tests.support.scanners import picture

SHAPED = sorted({*SHAPES} - {"square"})
SYMBOL = encode("https://example.com/shapes")
BORDER = 2


def drawn(rows, shape, module_size):
    """Return rows of shades, "0" light to "f" dark, without the quiet zone."""
    lines = shade_rows(rows, shape, module_size, BORDER)
    whole = [line for text, times in lines for line in [text] * times]
    edge = BORDER * module_size
    return [line[edge:-edge] for line in whole[edge:-edge]]


def alone(*cells, size=21):
    """Return a symbol in which only the given modules are dark."""
    return [
        "".join("01"[(row, column) in cells] for column in range(size))
        for row in range(size)
    ]


def tile(lines, row, column, module_size):
    start = column * module_size
    band = lines[row * module_size : (row + 1) * module_size]
    return [line[start : start + module_size] for line in band]


@pytest.mark.parametrize("module_size", [4, 5, 10, 11])
@pytest.mark.parametrize("shape", SHAPED)
def test_finder_eyes_are_solid_squares(shape, module_size):
    lines = drawn(SYMBOL.rows, shape, module_size)
    size = SYMBOL.size
    for row in range(size):
        for column in range(size):
            if in_eye(row, column, size):
                shade = "0f"[SYMBOL.rows[row][column] == "1"]
                solid = [shade * module_size] * module_size
                assert tile(lines, row, column, module_size) == solid


def test_the_eyes_are_three_squares_of_seven_modules():
    size = 25
    eyes = {(r, c) for r in range(size) for c in range(size) if in_eye(r, c, size)}
    assert len(eyes) == 3 * EYE**2
    assert {(0, 0), (6, 6), (0, 18), (6, 24), (18, 0), (24, 6)} <= eyes
    assert not {(7, 0), (0, 7), (18, 18), (24, 24), (17, 0), (0, 17)} & eyes


@pytest.mark.parametrize("module_size", [4, 5, 10, 11])
@pytest.mark.parametrize("shape", SHAPED)
def test_a_dark_module_is_dark_in_the_middle_and_a_light_one_is_all_light(
    shape, module_size
):
    lines = drawn(SYMBOL.rows, shape, module_size)
    for row in range(SYMBOL.size):
        for column in range(SYMBOL.size):
            pixels = tile(lines, row, column, module_size)
            if SYMBOL.rows[row][column] == "0":
                assert set("".join(pixels)) == {"0"}
            else:
                assert pixels[module_size // 2][module_size // 2] == "f"


@pytest.mark.parametrize("shape", ["rounded", "circle"])
def test_a_module_without_neighbours_is_a_disc(shape):
    pixels = tile(drawn(alone((10, 10)), shape, 10), 10, 10, 10)
    assert {pixels[0][0], pixels[0][9], pixels[9][0], pixels[9][9]} == {"0"}
    # The shades add up to pi / 4 of those of a square.
    ink = sum(int(shade, 16) for line in pixels for shade in line) / (15 * 100)
    assert ink == pytest.approx(0.785, abs=0.02)


def test_rounded_modules_join_and_circles_do_not():
    row = alone((10, 10), (10, 11))
    rounded = tile(drawn(row, "rounded", 10), 10, 10, 10)
    assert {line[9] for line in rounded} == {"f"}
    assert (rounded[0][0], rounded[9][0]) == ("0", "0")
    circle = tile(drawn(row, "circle", 10), 10, 10, 10)
    assert (circle[0][9], circle[9][9]) == ("0", "0")


@pytest.mark.parametrize(
    ("neighbour", "round_corners"),
    [
        ((9, 10), {"bottom left", "bottom right"}),
        ((11, 10), {"top left", "top right"}),
        ((10, 9), {"top right", "bottom right"}),
        ((10, 11), {"top left", "bottom left"}),
        ((9, 9), {"top left", "top right", "bottom left", "bottom right"}),
    ],
)
def test_a_corner_is_round_where_neither_neighbour_is_dark(neighbour, round_corners):
    pixels = tile(drawn(alone((10, 10), neighbour), "rounded", 10), 10, 10, 10)
    corners = {
        "top left": pixels[0][0],
        "top right": pixels[0][9],
        "bottom left": pixels[9][0],
        "bottom right": pixels[9][9],
    }
    assert {name for name, shade in corners.items() if shade == "0"} == round_corners


def test_gapped_modules_have_a_light_edge_of_a_tenth():
    pixels = tile(drawn(alone((10, 10), (10, 11)), "gapped", 10), 10, 10, 10)
    assert pixels[0] == pixels[9] == "0" * 10
    assert pixels[1:9] == ["0" + "f" * 8 + "0"] * 8


@pytest.mark.parametrize("shape", SHAPED)
@pytest.mark.parametrize("module_size", [LEAST_SHAPED, 7])
def test_the_file_contains_the_shades_inside_the_quiet_zone(shape, module_size):
    style = Style(shape=shape, module_size=module_size, border=BORDER)
    image = render(SYMBOL, style)
    found = picture(image.body)
    edge = BORDER * module_size
    inner = (edge, edge, image.width - edge, image.width - edge)
    # The quiet zone is all light, so the bounding box of the inverse excludes it.
    assert found.point(lambda v: 255 - v).getbbox() == inner
    lines = drawn(SYMBOL.rows, shape, module_size)
    shades = bytes(255 - 17 * int(shade, 16) for line in lines for shade in line)
    assert found.crop(inner).tobytes() == shades
