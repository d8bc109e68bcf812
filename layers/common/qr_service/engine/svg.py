"""SVG of a symbol as one path, in units of modules; and such a path back to pixels.

`document` writes the SVG. `rasterise` draws what `document` wrote, so the file itself
can be proven to scan without a browser. Squares are written as outlines around all that
is dark. The paths of other shapes use only the commands M, h, v and z, and
`a.5.5 0 0 1`: a clockwise quarter of a circle with a radius of half a module.
"""

import base64
import math
import re
import zlib
from collections.abc import Iterable

from PIL import Image, ImageColor, ImageDraw

from qr_service.engine.colours import TRANSPARENT
from qr_service.engine.logo import fitted, make_room
from qr_service.engine.outlines import modules as dark_modules
from qr_service.engine.outlines import outlines
from qr_service.engine.shapes import GAP, solid_modules
from qr_service.engine.style import Gradient, Shape, Style
from qr_service.engine.symbol import Symbol

_XLINK = ' xmlns:xlink="http://www.w3.org/1999/xlink"'
_QUARTER = "a.5.5 0 0 1"


def document(symbol: Symbol, style: Style) -> bytes:
    """Return the SVG file.

    It scales without loss; `width` and `height` are only a suggestion.
    """
    modules = symbol.size + 2 * style.border
    width = modules * style.module_size
    rows, logo_side = make_room(symbol, style)
    if style.shape == "square":
        path = outlines(rows)
    else:
        path = "".join(_shapes(rows, style.shape))
    paper = gradient = logo = ""
    ink = _short(style.dark)
    start = -style.border
    if style.light != TRANSPARENT:
        whole = f"M{start} {start}h{modules}v{modules}h-{modules}z"
        paper = f'<path fill="{_short(style.light)}" d="{whole}"/>'
    if style.gradient:
        # Unique, since one document may contain several of these.
        content = repr((path, style.dark, style.gradient, modules))
        name = f"g{zlib.crc32(content.encode()):08x}"
        gradient = _gradient(style.dark, style.gradient, name, modules, start)
        ink = f"url(#{name})"
    if style.logo and logo_side:
        logo = _image(style.logo, modules, logo_side, start)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg"{_XLINK if logo else ""} '
        f'width="{width}" height="{width}" '
        f'viewBox="{start} {start} {modules} {modules}">'
        f'{gradient}{paper}<path fill="{ink}" d="{path}"/>{logo}</svg>'
    ).encode()


def _shapes(rows: tuple[str, ...], shape: Shape) -> Iterable[str]:
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
                        "v-.5h.5" if above or left else f"{_QUARTER} .5-.5",
                        "h.5v.5" if above or right else f"{_QUARTER} .5 .5",
                        "v.5h-.5" if below or right else f"{_QUARTER}-.5 .5",
                        "h-.5v-.5" if below or left else f"{_QUARTER}-.5-.5",
                        "z",
                    )
                )


def _gradient(
    dark: str, gradient: Gradient, name: str, modules: int, start: int
) -> str:
    """Return the definition of `url(#name)`, over the whole picture."""
    if gradient.type == "linear":
        kind = "linearGradient"
        where = f'x1="0" y1="{start}" x2="0" y2="{start + modules}"'
    else:
        kind = "radialGradient"
        middle = f"{start + modules / 2:g}"
        where = f'cx="{middle}" cy="{middle}" r="{modules / 2**0.5:.4g}"'
    return (
        f'<defs><{kind} id="{name}" {where} gradientUnits="userSpaceOnUse">'
        f'<stop offset="0" stop-color="{_short(dark)}"/>'
        f'<stop offset="1" stop-color="{_short(gradient.to)}"/></{kind}></defs>'
    )


def _image(file: bytes, modules: int, side: int, start: int) -> str:
    """Return the logo; programs that know SVG 1.1 only read `xlink:href`."""
    place = f"{start + (modules - side) / 2:g}"
    kind = "png" if file.startswith(b"\x89PNG") else "jpeg"
    url = f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
    return (
        f'<image x="{place}" y="{place}" width="{side}" height="{side}" '
        f'href="{url}" xlink:href="{url}"/>'
    )


def _short(colour: str) -> str:
    """Return #rrggbb as #rgb if that is the same colour."""
    one, two = colour[1::2], colour[2::2]
    return f"#{one}" if one == two else colour


# ------------------------------------------------------------------- and back to pixels

_VIEW_BOX = re.compile(r'viewBox="(\S+) \S+ (\d+) \d+"')
_PATH = re.compile(r'<path fill="([^"]+)" d="([^"]+)"/>')
_STOPS = re.compile(r'stop-color="([^"]+)"')
_IMAGE = re.compile(
    r'<image x="(\S+)" y="(\S+)" width="(\d+)" height="\d+" '
    r'href="data:image/\w+;base64,([^"]+)"'
)
_COMMAND = re.compile(r"([Mhvaz])([^Mhvaz]*)")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
_SHADES = bytes(255 if byte == ord("1") else 0 for byte in range(256))
_COSINES = (math.cos(math.pi / 6), math.cos(math.pi / 3))  # of 30 and 60 degrees


def rasterise(file: bytes, scale: int) -> Image.Image:
    """Draw what `document` wrote, at `scale` pixels per module, on white paper.

    A gradient is drawn in the lighter of its colours, the worst case for a module.
    Raises ValueError for a file that `document` would not have written.
    """
    text = file.decode()
    view_box = _VIEW_BOX.search(text)
    if not view_box:
        raise ValueError("an SVG without a viewBox")
    start, modules = int(view_box[1]), int(view_box[2])
    picture = Image.new("RGB", (modules * scale, modules * scale), "white")
    draw = ImageDraw.Draw(picture)
    for colour, path in _PATH.findall(text):
        inks = _STOPS.findall(text) if colour.startswith("url") else [colour]
        ink = max((ImageColor.getrgb(ink) for ink in inks), key=sum)
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
    for x, y, width, data in _IMAGE.findall(text):
        logo, (right, down) = fitted(base64.b64decode(data), int(width) * scale)
        corner = (
            round((float(x) - start) * scale) + right,
            round((float(y) - start) * scale) + down,
        )
        picture.paste(logo, corner, logo)
    return picture


def _squares(path: str, size: int, scale: int) -> Image.Image:
    """Return the symbol of these outlines in pixels, 255 where it is dark."""
    rows = "".join(dark_modules(path, size)).encode()
    squares = Image.frombytes("L", (size, size), rows.translate(_SHADES))
    return squares.resize((size * scale, size * scale), Image.Resampling.NEAREST)


def _pixel_centres(points: list[tuple[float, float]]) -> list[tuple[int, int]]:
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


def _polygons(path: str) -> Iterable[list[tuple[float, float]]]:
    """Yield the corners of each part of a path."""
    x = y = 0.0
    points: list[tuple[float, float]] = []
    for command, arguments in _COMMAND.findall(path):
        numbers = [float(number) for number in _NUMBER.findall(arguments)]
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
                x, y = x + numbers[5], y + numbers[6]
                points += _quarter(before, (x, y))
        points.append((x, y))


def _quarter(
    start: tuple[float, float], end: tuple[float, float]
) -> list[tuple[float, float]]:
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
