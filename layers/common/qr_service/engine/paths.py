"""The dark modules of a symbol as a path, in units of modules; and back to pixels.

Every vector format draws the same path, which is written as in SVG (SVG 2, 9.3) with
few commands: M, h, v, z, and `a.5.5 0 0 1`, a clockwise quarter of a circle with a
radius of half a module. Squares are written as outlines around all that is dark. The
symbol's corner is at 0 0; y counts downwards.

`rasterise` draws such paths, so that a vector file can be proven to scan without a
browser or a printer.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from qr_service.engine.colours import TRANSPARENT, rgb
from qr_service.engine.outlines import modules as dark_modules
from qr_service.engine.outlines import outlines
from qr_service.engine.shapes import GAP, solid_modules
from qr_service.engine.style import Shape, Style
from qr_service.engine.symbol import Symbol

QUARTER = "a.5.5 0 0 1"
_COMMAND = re.compile(r"([Mhvaz])([^Mhvaz]*)")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_SHADES = bytes(255 if byte == ord("1") else 0 for byte in range(256))
_COSINES = (math.cos(math.pi / 6), math.cos(math.pi / 3))  # of 30 and 60 degrees

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a vector file draws: a square of `modules`, from `start` in both directions.

    `fills` are colours with their paths, the first one below the others. Colours are
    `#rrggbb`.
    """

    start: int
    modules: int
    fills: Sequence[tuple[str, str]]


def drawing_of(symbol: Symbol, style: Style) -> Drawing:
    """Return the drawing of a symbol without gradient and logo."""
    start, modules = -style.border, symbol.size + 2 * style.border
    fills = [(style.dark, path_of(symbol.rows, style.shape))]
    if style.light != TRANSPARENT:
        fills.insert(0, (style.light, rectangle(start, modules)))
    return Drawing(start, modules, fills)


def path_of(rows: Sequence[str], shape: Shape) -> str:
    """Return the path of the dark modules."""
    return outlines(rows) if shape == "square" else "".join(_shapes(rows, shape))


def rectangle(start: int, side: int) -> str:
    """Return the path of a square."""
    return f"M{start} {start}h{side}v{side}h-{side}z"


def commands(path: str) -> Iterator[tuple[str, list[float]]]:
    """Yield each command with its numbers: of a quarter, how far right and down."""
    for command, arguments in _COMMAND.findall(path):
        numbers = [float(number) for number in _NUMBER.findall(arguments)]
        yield command, numbers[5:] if command == "a" else numbers


def _shapes(rows: Sequence[str], shape: Shape) -> Iterable[str]:
    """Yield the outline of each dark module, clockwise."""
    size = len(rows)
    solid = solid_modules(size)
    empty = "0" * (size + 2)
    padded = [empty, *(f"0{row}0" for row in rows), empty]
    whole = f"{1 - 2 * GAP:g}"
    for y in range(size):
        for x in range(size):
            if rows[y][x] == "0":
                continue
            if solid[y][x] == "1":
                yield f"M{x} {y}h1v1h-1z"
            elif shape == "gapped":
                yield f"M{x + GAP:g} {y + GAP:g}h{whole}v{whole}h-{whole}z"
            else:
                around = shape == "rounded"
                above = around and padded[y][x + 1] == "1"
                below = around and padded[y + 2][x + 1] == "1"
                left = around and padded[y + 1][x] == "1"
                right = around and padded[y + 1][x + 2] == "1"
                yield f"M{x} {y}.5" + "".join(
                    (
                        "v-.5h.5" if above or left else f"{QUARTER} .5-.5",
                        "h.5v.5" if above or right else f"{QUARTER} .5 .5",
                        "v.5h-.5" if below or right else f"{QUARTER}-.5 .5",
                        "h-.5v-.5" if below or left else f"{QUARTER}-.5-.5",
                        "z",
                    )
                )


def rasterise(drawing: Drawing, scale: int) -> Image.Image:
    """Return the picture at `scale` pixels per module, on white paper."""
    start, modules = drawing.start, drawing.modules
    picture = Image.new("RGB", (modules * scale, modules * scale), "white")
    draw = ImageDraw.Draw(picture)
    for colour, path in drawing.fills:
        ink = rgb(colour)
        if not path.endswith("z"):
            squares = _squares(path, modules + 2 * start, scale)
            picture.paste(ink, (-start * scale, -start * scale), squares)
            continue
        for points in _polygons(path):
            placed = [((x - start) * scale, (y - start) * scale) for x, y in points]
            if len(placed) == 4:
                (x, y), (right, bottom) = min(placed), max(placed)
                corners = (round(x), round(y), round(right) - 1, round(bottom) - 1)
                draw.rectangle(corners, fill=ink)
            else:
                draw.polygon(_pixel_centres(placed), fill=ink)
    return picture


def _squares(path: str, size: int, scale: int) -> Image.Image:
    """Return the symbol of these outlines in pixels, 255 where it is dark."""
    rows = "".join(dark_modules(path, size)).encode()
    squares = Image.frombytes("L", (size, size), rows.translate(_SHADES))
    return squares.resize((size * scale, size * scale), Image.Resampling.NEAREST)


def _pixel_centres(points: list[Point]) -> list[tuple[int, int]]:
    """Return the pixels along the inside of an outline.

    Pillow fills the pixels of the outline as well, so the outline is drawn half a pixel
    further in on every side.
    """
    columns, rows = zip(*points, strict=True)
    middle_x, middle_y = (min(columns) + max(columns)) / 2, (min(rows) + max(rows)) / 2
    share = 1 - 1 / (max(columns) - min(columns))
    return [
        (
            round(middle_x - 0.5 + (x - middle_x) * share),
            round(middle_y - 0.5 + (y - middle_y) * share),
        )
        for x, y in points
    ]


def _polygons(path: str) -> Iterable[list[Point]]:
    """Yield the corners of each part of a path."""
    x = y = 0.0
    points: list[Point] = []
    for command, numbers in commands(path):
        before = x, y
        match command:
            case "M":
                x, y = numbers
                points = []
            case "h":
                x += numbers[0]
            case "v":
                y += numbers[0]
            case "z":
                yield points
                continue
            case _:
                x, y = x + numbers[0], y + numbers[1]
                points += _quarter(before, (x, y))
        points.append((x, y))


def _quarter(start: Point, end: Point) -> list[Point]:
    """Return points between the ends of a clockwise quarter of a circle."""
    (x, y), (width, height) = start, (end[0] - start[0], end[1] - start[1])
    if width * height < 0:  # its centre is beside the start
        return [
            (end[0] - width * cosine, y + height * math.sqrt(1 - cosine**2))
            for cosine in _COSINES
        ]
    return [  # its centre is above or below the start
        (x + width * math.sqrt(1 - cosine**2), end[1] - height * cosine)
        for cosine in _COSINES
    ]
