"""Modules that are no squares: rounded, circles, or with gaps between them.

A module's look depends on itself and its four neighbours only: 32 tiles, drawn once for
each shape and size, make up the picture. Finder eyes stay solid squares, whatever the
shape: scanners find the symbol by them.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from PIL import Image, ImageDraw

from qr_service.engine.style import Shape

GAP = 0.1  # of a module, on each side of it
EYE = 7  # modules of a finder eye's side

# What a tile depends on, a bit each.
_SELF, _ABOVE, _BELOW, _LEFT, _RIGHT, _SOLID = 16, 8, 4, 2, 1, 32
_OVERSAMPLING = 4


def in_eye(row: int, column: int, size: int) -> bool:
    """Whether a module belongs to one of the three finder eyes."""
    outer = size - EYE
    return (row < EYE and (column < EYE or column >= outer)) or (
        row >= outer and column < EYE
    )


def shade_rows(
    rows: Sequence[str], shape: Shape, module_size: int, border: int
) -> Iterable[tuple[str, int]]:
    """Lines of a picture in hexadecimal shades, "f" dark, each with its repetitions."""
    margin = "0" * (border * module_size)
    blank = "0" * ((len(rows) + 2 * border) * module_size)
    tiles = _tiles(shape, module_size)
    yield blank, border * module_size
    for contexts in _contexts(rows):
        for line in tiles:
            yield f"{margin}{contexts.translate(line)}{margin}", 1
    yield blank, border * module_size


def _contexts(rows: Sequence[str]) -> Iterable[str]:
    """Rows of characters whose code says what a module's tile depends on."""
    size = len(rows)
    eye, rest = chr(_SOLID) * EYE, "\0" * (size - EYE)
    both_eyes = _number(eye + "\0" * (size - 2 * EYE) + eye)
    lower_eye = _number(eye + rest)
    every = (1 << 8 * size) - 1
    numbers = [_number(row.replace("0", "\0").replace("1", "\1")) for row in rows]
    for index, (above, row, below) in enumerate(
        zip([0, *numbers], numbers, [*numbers[1:], 0], strict=False)
    ):
        context = row * _SELF | above * _ABOVE | below * _BELOW
        context |= (row >> 8) * _LEFT | (row << 8 & every) * _RIGHT
        if index < EYE:
            context |= both_eyes
        elif index >= size - EYE:
            context |= lower_eye
        yield context.to_bytes(size, "big").decode("latin-1")


def _number(text: str) -> int:
    """A row as one integer, a byte a module, so that all are treated at once."""
    return int.from_bytes(text.encode("latin-1"), "big")


@cache
def _tiles(shape: Shape, module_size: int) -> list[dict[int, str]]:
    """For each line of a module: context -> the shades of that line of its tile."""
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
    """A corner stays round where neither neighbour beside it is dark."""
    half = side // 2
    for neighbours, x, y in (
        (_ABOVE | _LEFT, 0, 0),
        (_ABOVE | _RIGHT, half, 0),
        (_BELOW | _LEFT, 0, half),
        (_BELOW | _RIGHT, half, half),
    ):
        if context & neighbours:
            draw.rectangle((x, y, x + half - 1, y + half - 1), fill=255)
