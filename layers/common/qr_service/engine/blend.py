"""Pictures with blended pixels: gradients and logos, drawn by Pillow."""

from itertools import chain

from PIL import Image

from qr_service.engine import png
from qr_service.engine.colours import TRANSPARENT, rgb
from qr_service.engine.layout import Layout
from qr_service.engine.logo import fitted, make_room
from qr_service.engine.shapes import shade_rows
from qr_service.engine.style import Gradient, Shape, Style
from qr_service.engine.symbol import Symbol


def picture(symbol: Symbol, style: Style, layout: Layout) -> bytes:
    """Return a PNG with the gradient and the logo of the style."""
    rows, logo_side = make_room(symbol, style)
    coverage = _coverage(rows, style.shape, layout)
    opaque = style.light != TRANSPARENT
    if style.gradient and opaque and style.shape == "square" and not style.logo:
        return _indexed(style, style.gradient, coverage, layout)
    if style.gradient:
        share = _share(style.gradient, coverage.width)
        lines = zip(*_colours(style.dark, style.gradient.to), strict=True)
        ink = Image.merge("RGB", [share.point(line) for line in lines])
    else:
        ink = Image.new("RGB", coverage.size, rgb(style.dark))
    if style.light == TRANSPARENT:
        result = ink.convert("RGBA")
        result.putalpha(coverage)
    else:
        paper = Image.new("RGB", coverage.size, rgb(style.light))
        result = Image.composite(ink, paper, coverage)
    if style.logo and logo_side:
        side = logo_side * layout.module_size
        logo, (x, y) = fitted(style.logo, side)
        corner = (coverage.width - side) // 2
        place = corner + x, corner + y
        if result.mode == "RGBA":
            result.alpha_composite(logo, place)
        else:
            result.paste(logo, place, logo)
    return png.blended(layout, result)


def _coverage(rows: tuple[str, ...], shape: Shape, layout: Layout) -> Image.Image:
    """Return how dark each pixel is, 0..255."""
    lines = shade_rows(rows, shape, layout)
    pixels = b"".join(line.encode() * times for line, times in lines)
    size = (layout.width, layout.width)
    return Image.frombytes("L", size, pixels.translate(png.HEX_SHADES))


def _indexed(
    style: Style, gradient: Gradient, coverage: Image.Image, layout: Layout
) -> bytes:
    """Return a PNG of square modules: an index is 0 for light, or a share plus one."""
    share = _share(gradient, coverage.width)
    shares = share.point([1 + value * 254 // 255 for value in range(256)])
    indexes = Image.composite(shares, Image.new("L", share.size, 0), coverage)
    colours = [rgb(style.light), *_colours(style.dark, gradient.to, 255)]
    return png.indexed(layout, indexes, bytes(chain.from_iterable(colours)))


def _share(gradient: Gradient, width: int) -> Image.Image:
    """Return for each pixel, 0..255, how far the gradient has come."""
    linear = gradient.type == "linear"
    share = Image.linear_gradient("L") if linear else Image.radial_gradient("L")
    return share.resize((width, width), Image.Resampling.BILINEAR)


def _colours(start: str, end: str, steps: int = 256) -> list[tuple[int, ...]]:
    """Return the colours of a gradient, each red, green and blue."""
    return [
        tuple(
            round(first + (last - first) * step / (steps - 1))
            for first, last in zip(rgb(start), rgb(end), strict=True)
        )
        for step in range(steps)
    ]
