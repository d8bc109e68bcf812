"""Modules of each shape, and patterns that are the same in every shape."""

from itertools import product

import pytest
from qr_service.engine.images import render
from qr_service.engine.layout import LEAST_SHAPED, lay_out
from qr_service.engine.shapes import shade_rows, solid_modules
from qr_service.engine.style import SHAPES, Style
from qr_service.engine.symbol import encode

from tests.support.scanners import picture

SHAPED = sorted({*SHAPES} - {"square"})
SYMBOL = encode("https://example.com/shapes")
LARGER = encode("https://example.com/shapes", least_version=7)
BORDER = 2


def drawn(rows, shape, module_size):
    """Return rows of shades, "0" light to "f" dark, without the quiet zone."""
    style = Style(shape=shape, module_size=module_size, border=BORDER)
    lines = shade_rows(rows, shape, lay_out(len(rows), style))
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
def test_finder_and_alignment_patterns_are_solid_squares(shape, module_size):
    lines = drawn(LARGER.rows, shape, module_size)
    solid = solid_modules(LARGER.size)
    for row in range(LARGER.size):
        for column in range(LARGER.size):
            if solid[row][column] == "1":
                shade = "0f"[LARGER.rows[row][column] == "1"]
                square = [shade * module_size] * module_size
                assert tile(lines, row, column, module_size) == square


@pytest.mark.parametrize(
    ("version", "alignment_patterns"),
    [(1, 0), (2, 1), (6, 1), (7, 6), (14, 13), (40, 46)],
)
def test_solid_modules_are_those_patterns_alone(version, alignment_patterns):
    """Their places are those of the standard; each has five modules on a side."""
    symbol = encode("x", least_version=version)
    solid = solid_modules(symbol.size)
    assert "".join(solid).count("1") == 3 * 49 + 25 * alignment_patterns
    eye = {*product(range(7), range(7))}
    last = symbol.size - 7
    eyes = eye | {(r + last, c) for r, c in eye} | {(r, c + last) for r, c in eye}
    others = {
        (r, c) for r, row in enumerate(solid) for c, bit in enumerate(row) if bit == "1"
    } - eyes
    while others:
        top, left = min(others)
        square = {*product(range(top, top + 5), range(left, left + 5))}
        assert square <= others
        others -= square
        pattern = [symbol.rows[row][left : left + 5] for row in range(top, top + 5)]
        assert pattern == ["11111", "10001", "10101", "10001", "11111"]


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
