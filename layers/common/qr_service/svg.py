"""SVG of a symbol as one path, in units of modules; and such a path back to pixels.

`document` writes, `rasterise` reads what `document` wrote, so that the file itself can
be proven to scan without a browser. Paths use the commands M, m, h, v and z only, and
`a.5.5 0 0 1`: a clockwise quarter of a circle of half a module's radius.
"""

import base64
import math
import re
from collections.abc import Iterable

from PIL import Image, ImageColor, ImageDraw

from qr_service.colours import TRANSPARENT
from qr_service.logo import clearing, cut_out, fitted
from qr_service.shapes import GAP, in_eye
from qr_service.style import Style
from qr_service.symbol import Symbol

_RUN = re.compile("1+")
_QUARTER = "a.5.5 0 0 1"


def document(symbol: Symbol, style: Style) -> bytes:
    """The SVG file; it scales without loss, `width` and `height` are a suggestion."""
    modules = symbol.size + 2 * style.border
    width = modules * style.module_size
    rows = symbol.rows
    logo = ""
    if style.logo and style.logo_size:
        cleared = clearing(symbol.size, style.logo_size)
        rows = cut_out(rows, cleared)
        logo = _image(style.logo, modules, cleared)
    ink = "url(#g)" if style.gradient else _short(style.dark)
    if style.shape == "square":
        path = f'<path stroke="{ink}" d="{_strokes(rows, style.border)}"/>'
    else:
        outlines = "".join(_outlines(rows, style))
        path = f'<path fill="{ink}" d="{outlines}"/>'
    paper = (
        ""
        if style.light == TRANSPARENT
        else f'<path fill="{_short(style.light)}" d="M0 0h{modules}v{modules}H0z"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{width}" '
        f'viewBox="0 0 {modules} {modules}">{_gradient(style, modules)}{paper}{path}'
        f"{logo}</svg>"
    ).encode()


def _strokes(rows: tuple[str, ...], border: int) -> str:
    """Runs of dark modules as strokes along the middle of their row."""
    parts: list[str] = []
    x, y = 0, 0
    for row, text in enumerate(rows):
        for run in _RUN.finditer(text):
            start, end = run.span()
            if parts:
                parts.append(f"m{start - x} {row - y}h{end - start}")
            else:
                parts.append(f"M{start + border} {row + border}.5h{end - start}")
            x, y = end, row
    return "".join(parts).replace(" -", "-")


def _outlines(rows: tuple[str, ...], style: Style) -> Iterable[str]:
    """The outline of each dark module, clockwise; finder eyes are solid."""
    size = len(rows)
    empty = "0" * (size + 2)
    padded = [empty, *(f"0{row}0" for row in rows), empty]
    for row in range(size):
        for column in range(size):
            if rows[row][column] == "0":
                continue
            x, y = column + style.border, row + style.border
            if in_eye(row, column, size):
                yield f"M{x} {y}h1v1h-1z"
            elif style.shape == "gapped":
                side = f"{1 - 2 * GAP:g}"
                yield f"M{x + GAP:g} {y + GAP:g}h{side}v{side}h-{side}z"
            else:
                around = style.shape == "rounded"
                above = around and padded[row][column + 1] == "1"
                below = around and padded[row + 2][column + 1] == "1"
                left = around and padded[row + 1][column] == "1"
                right = around and padded[row + 1][column + 2] == "1"
                yield f"M{x} {y}.5" + "".join(
                    (
                        "v-.5h.5" if above or left else f"{_QUARTER} .5-.5",
                        "h.5v.5" if above or right else f"{_QUARTER} .5 .5",
                        "v.5h-.5" if below or right else f"{_QUARTER}-.5 .5",
                        "h-.5v-.5" if below or left else f"{_QUARTER}-.5-.5",
                        "z",
                    )
                )


def _gradient(style: Style, modules: int) -> str:
    if not style.gradient:
        return ""
    stops = (
        f'<stop stop-color="{_short(style.dark)}"/>'
        f'<stop offset="1" stop-color="{_short(style.gradient.to)}"/>'
    )
    middle = modules / 2
    if style.gradient.type == "linear":
        where = f'linearGradient id="g" x1="0" y1="0" x2="0" y2="{modules}"'
    else:
        corner = f"{middle * 2**0.5:.4g}"
        where = f'radialGradient id="g" cx="{middle}" cy="{middle}" r="{corner}"'
    name = where.split()[0]
    return f'<defs><{where} gradientUnits="userSpaceOnUse">{stops}</{name}></defs>'


def _image(file: bytes, modules: int, cleared: int) -> str:
    side = cleared - 1 or 1
    start = (modules - side) / 2
    kind = "png" if file.startswith(b"\x89PNG") else "jpeg"
    url = f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
    return (
        f'<image x="{start:g}" y="{start:g}" width="{side}" height="{side}" '
        f'href="{url}"/>'
    )


def _short(colour: str) -> str:
    """#rrggbb as #rgb where that is the same colour."""
    one, two = colour[1::2], colour[2::2]
    return f"#{one}" if one == two else colour


# ------------------------------------------------------------------- and back to pixels

_VIEW_BOX = re.compile(r'viewBox="0 0 (\d+) \d+"')
_PATH = re.compile(r'<path (fill|stroke)="([^"]+)" d="([^"]+)"/>')
_STOPS = re.compile(r'stop-color="([^"]+)"')
_IMAGE = re.compile(
    r'<image x="([\d.]+)" y="[\d.]+" width="(\d+)" height="\d+" '
    r'href="data:image/\w+;base64,([^"]+)"/>'
)
_COMMAND = re.compile(r"([MmhvHaz])([^MmhvHaz]*)")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_COSINES = (math.cos(math.pi / 6), math.cos(math.pi / 3))  # of 30 and 60 degrees


def rasterise(file: bytes, scale: int) -> Image.Image:
    """The picture that `document` describes, `scale` pixels a module, on white paper.

    A gradient is drawn in the lighter of its colours, the worst that a module gets.
    Raises ValueError for what `document` would not have written.
    """
    text = file.decode()
    view_box = _VIEW_BOX.search(text)
    if not view_box:
        raise ValueError("an SVG without a viewBox")
    side = int(view_box[1]) * scale
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    for kind, colour, commands in _PATH.findall(text):
        inks = _STOPS.findall(text) if colour.startswith("url") else [colour]
        ink = max((ImageColor.getrgb(ink) for ink in inks), key=sum)
        for points in _polygons(commands, stroked=kind == "stroke"):
            pixels = [(round(x * scale), round(y * scale)) for x, y in points]
            if len(pixels) == 4:
                (left, top), (right, bottom) = min(pixels), max(pixels)
                draw.rectangle((left, top, right - 1, bottom - 1), fill=ink)
            else:
                draw.polygon(pixels, fill=ink)
    for start, width, data in _IMAGE.findall(text):
        logo, (x, y) = fitted(base64.b64decode(data), int(width) * scale)
        corner = round(float(start) * scale)
        picture.paste(logo, (corner + x, corner + y), logo)
    return picture


def _polygons(commands: str, *, stroked: bool) -> Iterable[list[tuple[float, float]]]:
    """The corners of each part of a path; of a stroke, of the line's whole width."""
    x = y = 0.0
    points: list[tuple[float, float]] = []
    for command, arguments in _COMMAND.findall(commands):
        numbers = [float(number) for number in _NUMBER.findall(arguments)]
        if command == "h" and stroked:
            end = x + numbers[0]
            yield [(x, y - 0.5), (end, y - 0.5), (end, y + 0.5), (x, y + 0.5)]
            x = end
            continue
        if command == "z":
            yield points
            continue
        before = x, y
        match command:
            case "M":
                x, y = numbers
            case "m":
                x, y = x + numbers[0], y + numbers[1]
            case "h":
                x += numbers[0]
            case "H":
                x = numbers[0]
            case "v":
                y += numbers[0]
            case _:
                x, y = x + numbers[5], y + numbers[6]
                points += _quarter(before, (x, y))
        points = [(x, y)] if command in "Mm" else [*points, (x, y)]


def _quarter(
    start: tuple[float, float], end: tuple[float, float]
) -> list[tuple[float, float]]:
    """Points between the ends of a clockwise quarter of a circle."""
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
