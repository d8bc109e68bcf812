"""Modules that are not squares: rounded, circles, or with gaps between them.

The look of a module depends only on itself and its four neighbours. The picture
consists of 32 tiles, which are drawn once for each shape and size. Finder and alignment
patterns stay solid squares in every shape, because scanners search for them.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from PIL import Image, ImageDraw
from qrcode import util

from qr_service.engine.layout import Layout
from qr_service.engine.style import Shape

GAP = 0.1  # of a module, on each side of it
EYE = 7  # modules on a side of a finder pattern

# What a tile depends on, one bit each.
_SELF, _ABOVE, _BELOW, _LEFT, _RIGHT, _SOLID = 16, 8, 4, 2, 1, 32
_OVERSAMPLING = 4
_BYTES = {ord("0"): 0, ord("1"): 1}


@cache
def solid_modules(size: int) -> tuple[str, ...]:
    """Return rows: "1" is a module of a finder or alignment pattern, "0" another."""
    both_eyes = "1" * EYE + "0" * (size - 2 * EYE) + "1" * EYE
    lower_eye = "1" * EYE + "0" * (size - EYE)
    rows = [both_eyes] * EYE + ["0" * size] * (size - 2 * EYE) + [lower_eye] * EYE
    centres = util.pattern_position((size - 17) // 4)  # annex E
    for y in centres:
        for x in centres:
            if rows[y][x] == "0":  # where an eye is, there is no alignment pattern
                for row in range(y - 2, y + 3):
                    rows[row] = rows[row][: x - 2] + "1" * 5 + rows[row][x + 3 :]
    return tuple(rows)


def shade_rows(
    rows: Sequence[str], shape: Shape, layout: Layout
) -> Iterable[tuple[str, int]]:
    """Yield lines in hexadecimal shades, "f" for dark, each with its repetitions."""
    margin = "0" * layout.margin
    blank = "0" * layout.width
    tiles = _tiles(shape, layout.module_size)
    yield blank, layout.margin
    for contexts in _contexts(rows):
        for line in tiles:
            yield f"{margin}{contexts.translate(line)}{margin}", 1
    yield blank, layout.margin


def _contexts(rows: Sequence[str]) -> Iterable[str]:
    """Yield a text for each row; the code of a character selects a module's tile."""
    size = len(rows)
    every = (1 << 8 * size) - 1
    numbers = [_number(row) for row in rows]
    for above, row, below, solid in zip(
        [0, *numbers], numbers, [*numbers[1:], 0], _solid_rows(size), strict=False
    ):
        context = row * _SELF | above * _ABOVE | below * _BELOW
        context |= (row >> 8) * _LEFT | (row << 8 & every) * _RIGHT
        context |= solid
        yield context.to_bytes(size, "big").decode("latin-1")


@cache
def _solid_rows(size: int) -> list[int]:
    return [_SOLID * _number(row) for row in solid_modules(size)]


def _number(row: str) -> int:
    """Return a row as one integer, a byte per module, to process all at once."""
    return int.from_bytes(row.translate(_BYTES).encode("latin-1"), "big")


@cache
def _tiles(shape: Shape, module_size: int) -> list[dict[int, str]]:
    """Return, for each line of a module: context -> shades of that line of its tile."""
    tiles: list[dict[int, str]] = [{} for _ in range(module_size)]
    for context in range(64):
        pixels = _tile(context, shape, module_size).tobytes()
        digits = "".join(f"{round(15 * value / 255):x}" for value in pixels)
        for line in range(module_size):
            start = line * module_size
            tiles[line][context] = digits[start : start + module_size]
    return tiles


def _tile(context: int, shape: Shape, module_size: int) -> Image.Image:
    side = module_size * _OVERSAMPLING
    tile = Image.new("L", (side, side), 0)
    if not context & _SELF:
        return tile.resize((module_size, module_size))
    draw = ImageDraw.Draw(tile)
    whole = (0, 0, side - 1, side - 1)
    gap = GAP * side
    if shape == "square" or context & _SOLID:
        draw.rectangle(whole, fill=255)
    elif shape == "gapped":
        draw.rectangle((gap, gap, side - gap - 1, side - gap - 1), fill=255)
    else:
        draw.ellipse(whole, fill=255)
        if shape == "rounded":
            _fill_corners(draw, context, side)
    return tile.resize((module_size, module_size), Image.Resampling.BOX)


def _fill_corners(draw: ImageDraw.ImageDraw, context: int, side: int) -> None:
    """Fill each corner with a dark neighbour beside it; the others stay round."""
    half = side // 2
    for neighbours, x, y in (
        (_ABOVE | _LEFT, 0, 0),
        (_ABOVE | _RIGHT, half, 0),
        (_BELOW | _LEFT, 0, half),
        (_BELOW | _RIGHT, half, half),
    ):
        if context & neighbours:
            draw.rectangle((x, y, x + half - 1, y + half - 1), fill=255)
