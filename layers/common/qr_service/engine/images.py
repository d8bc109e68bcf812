"""Symbol to image: a file with the symbol and the quiet zone around it.

Two colours and simple shapes are written directly in the file format. Pillow is used
only where pixels are blended, for gradients and logos. Equal input produces equal
bytes.
"""

from dataclasses import dataclass

from qr_service.engine import blend, eps, paths, pdf, png, svg
from qr_service.engine.colours import TRANSPARENT
from qr_service.engine.layout import Layout, lay_out
from qr_service.engine.shapes import shade_rows
from qr_service.engine.style import Format, Style
from qr_service.engine.symbol import Symbol

PLAIN = Style()
CONTENT_TYPES: dict[Format, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "eps": "application/postscript",
}


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image file; `width` is in pixels and equals the height.

    Each module of a PNG is a square of `module_size` pixels, for all that is known.
    `module_mm` and `width_mm` are printed sides, None if the file says nothing of them.
    """

    body: bytes
    content_type: str
    width: int
    module_size: int = 1
    module_mm: float | None = None
    width_mm: float | None = None


def render(symbol: Symbol, style: Style = PLAIN) -> Image:
    """Return the image of a symbol.

    Raises BadField if it would be too wide, or if its modules would be too small.
    """
    layout = lay_out(symbol.size, style)
    known = 1
    match style.format:
        case "svg":
            body = svg.document(symbol, style, layout)
        case "pdf":
            body = pdf.write(paths.drawing_of(symbol, style), layout.points)
        case "eps":
            body = eps.write(paths.drawing_of(symbol, style), layout.points)
        case "png" if style.gradient or style.logo:
            body = blend.picture(symbol, style, layout)
        case _:
            body = _two_colours(symbol, style, layout)
            known = layout.module_size
    return Image(
        body,
        CONTENT_TYPES[style.format],
        layout.width,
        known,
        layout.module_mm,
        layout.width_mm,
    )


def _two_colours(symbol: Symbol, style: Style, layout: Layout) -> bytes:
    """Return a PNG with the colours of the style, and shades between them."""
    dark, light = style.dark, style.light
    if style.shape == "square" and light != TRANSPARENT:
        return png.two_colours(symbol.rows, layout, dark, light)
    lines = shade_rows(symbol.rows, style.shape, layout)
    if light == TRANSPARENT:
        return png.on_transparent(layout, lines, dark)
    return png.sixteen_shades(layout, lines, dark, light)
