"""SVG of a symbol, in units of modules; and such a file back to pixels.

`document` writes the SVG. `rasterise` draws what `document` wrote, so the file itself
can be proven to scan without a browser.
"""

import base64
import re
import zlib

from PIL import Image

from qr_service.engine import paths
from qr_service.engine.colours import TRANSPARENT, rgb
from qr_service.engine.layout import Layout
from qr_service.engine.logo import fitted, make_room
from qr_service.engine.style import Gradient, Style
from qr_service.engine.symbol import Symbol

_XLINK = ' xmlns:xlink="http://www.w3.org/1999/xlink"'


def document(symbol: Symbol, style: Style, layout: Layout) -> bytes:
    """Return the SVG file.

    It scales without loss: if the layout has no millimetres, `width` and `height` are
    only a suggestion.
    """
    modules = symbol.size + 2 * style.border
    start = -style.border
    rows, logo_side = make_room(symbol, style)
    path = paths.path_of(rows, style.shape)
    width = f"{layout.width_mm:g}mm" if layout.width_mm else str(layout.width)
    paper = gradient = logo = ""
    ink = _short(style.dark)
    if style.light != TRANSPARENT:
        whole = paths.rectangle(start, modules)
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
    stops = [_long(stop) for stop in _STOPS.findall(text)]
    lightest = max(stops, key=lambda colour: sum(rgb(colour)), default="")
    fills = [
        (lightest if colour.startswith("url") else _long(colour), path)
        for colour, path in _PATH.findall(text)
    ]
    picture = paths.rasterise(paths.Drawing(start, modules, fills), scale)
    for x, y, width, data in _IMAGE.findall(text):
        logo, (right, down) = fitted(base64.b64decode(data), int(width) * scale)
        corner = (
            round((float(x) - start) * scale) + right,
            round((float(y) - start) * scale) + down,
        )
        picture.paste(logo, corner, logo)
    return picture


def _long(colour: str) -> str:
    """Return #rgb as #rrggbb."""
    if len(colour) > len("#rgb"):
        return colour
    return "#" + "".join(2 * digit for digit in colour[1:])
