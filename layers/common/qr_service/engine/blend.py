"""Pictures with blended pixels: gradients and logos, drawn by Pillow."""

from io import BytesIO

from PIL import Image

from qr_service.engine.colours import TRANSPARENT, rgb
from qr_service.engine.logo import fitted, make_room
from qr_service.engine.shapes import shade_rows
from qr_service.engine.style import Gradient, Style
from qr_service.engine.symbol import Symbol

_HEX_SHADES = bytes(
    17 * int(chr(code), 16) if chr(code) in "0123456789abcdef" else 0
    for code in range(256)
)
_PNG_LEVEL = 5


def picture(symbol: Symbol, style: Style) -> bytes:
    """Return a PNG with the gradient and the logo of the style."""
    rows, logo_side = make_room(symbol, style)
    coverage = _coverage(rows, style)
    if style.gradient:
        ink = _gradient(style.dark, style.gradient, coverage.width)
    else:
        ink = Image.new("RGB", coverage.size, rgb(style.dark))
    if style.light == TRANSPARENT:
        result = ink.convert("RGBA")
        result.putalpha(coverage)
    else:
        paper = Image.new("RGB", coverage.size, rgb(style.light))
        result = Image.composite(ink, paper, coverage)
    if style.logo and logo_side:
        side = logo_side * style.module_size
        logo, (x, y) = fitted(style.logo, side)
        corner = (coverage.width - side) // 2
        place = corner + x, corner + y
        if result.mode == "RGBA":
            result.alpha_composite(logo, place)
        else:
            result.paste(logo, place, logo)
    file = BytesIO()
    result.save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()


def _coverage(rows: tuple[str, ...], style: Style) -> Image.Image:
    """Return how dark each pixel is, 0..255."""
    lines = shade_rows(rows, style.shape, style.module_size, style.border)
    pixels = b"".join(line.encode() * times for line, times in lines)
    width = (len(rows) + 2 * style.border) * style.module_size
    return Image.frombytes("L", (width, width), pixels.translate(_HEX_SHADES))


def _gradient(start: str, gradient: Gradient, width: int) -> Image.Image:
    """Return a gradient from `start`, at the top or the centre, to the other colour."""
    if gradient.type == "linear":
        share = Image.linear_gradient("L")
    else:
        share = Image.radial_gradient("L")
    share = share.resize((width, width), Image.Resampling.BILINEAR)
    end = Image.new("RGB", share.size, rgb(gradient.to))
    return Image.composite(end, Image.new("RGB", share.size, rgb(start)), share)
