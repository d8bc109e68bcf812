"""Symbol to image: modules of whole pixels, with the quiet zone around the symbol.

Two colours and simple shapes are written directly in the file format. Pillow is used
only where pixels are blended, for gradients and logos. Equal input produces equal
bytes.
"""

from dataclasses import dataclass

from qr_service.engine import blend, png, svg
from qr_service.engine.colours import TRANSPARENT
from qr_service.engine.shapes import shade_rows
from qr_service.engine.style import Style
from qr_service.engine.symbol import Symbol
from qr_service.errors import BadField

MAX_WIDTH = 4096  # pixels
PLAIN = Style()
LEAST_SHAPED = 4  # pixels; the shape of a smaller module is not visible


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image file; `width` is in pixels and equals the height.

    Each module is a square of `module_size` pixels, for all that is known.
    """

    body: bytes
    content_type: str
    width: int
    module_size: int = 1


def render(symbol: Symbol, style: Style = PLAIN) -> Image:
    """Return the image of a symbol.

    Raises BadField if it would be wider than MAX_WIDTH, or if modules are too small for
    the shape.
    """
    width = _width(symbol, style)
    if style.format == "svg":
        return Image(svg.document(symbol, style), "image/svg+xml", width)
    if style.gradient or style.logo:
        return Image(blend.picture(symbol, style), "image/png", width)
    dark, light = style.dark, style.light
    lines = shade_rows(symbol.rows, style.shape, style.module_size, style.border)
    if light == TRANSPARENT:
        body = png.on_transparent(width, lines, dark)
    elif style.shape == "square":
        body = png.two_colours(
            symbol.rows, style.module_size, style.border, dark, light
        )
    else:
        body = png.sixteen_shades(width, lines, dark, light)
    return Image(body, "image/png", width, style.module_size)


def _width(symbol: Symbol, style: Style) -> int:
    modules = symbol.size + 2 * style.border
    width = modules * style.module_size
    if width > MAX_WIDTH:
        raise BadField(
            "module_size",
            style.module_size,
            f"1..{MAX_WIDTH // modules} for this data and border",
            f"The image would be {width} pixels wide ({modules} modules of "
            f"{style.module_size}); at most {MAX_WIDTH} are allowed.",
        )
    shaped = style.shape != "square" and style.format != "svg"
    if shaped and style.module_size < LEAST_SHAPED:
        raise BadField(
            "module_size",
            style.module_size,
            f"{LEAST_SHAPED}..40 for shape {style.shape}",
            f"{style.shape} modules need at least {LEAST_SHAPED} pixels each.",
        )
    return width
