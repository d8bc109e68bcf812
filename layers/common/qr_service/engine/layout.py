"""The size of an image, in pixels and in millimetres, and where the symbol is in it.

A printed pixel is a dot of the printer. In a PNG a module is a whole number of dots: at
3.4 dots, some modules would be three dots wide and others four.
"""

import math
from dataclasses import dataclass, replace

from qr_service.engine.style import FORMATS, PRINT_FORMATS, Style
from qr_service.errors import BadField, either

MAX_WIDTH = 4096  # pixels
MAX_MODULE_SIZE = 40  # pixels
LEAST_SHAPED = 4  # pixels; the shape of a smaller module is not visible
# The smallest printed module: printers need four dots for a clean edge, and cameras of
# phones, at the distance at which they focus, a third of a millimetre.
LEAST_DOTS = 4
LEAST_MM = 0.33
MOST_MM = 1000
MM_PER_INCH = 25.4


@dataclass(frozen=True, slots=True)
class Layout:
    """An image of `width` by `width` pixels with a symbol in its middle.

    `module_size` is in pixels, whole ones in a PNG; `margin`, the quiet zone on each
    side, too. `module_mm` and `width_mm` are the printed sides of a module and of the
    image in millimetres, None if the image says nothing of them.
    """

    module_size: int
    margin: int
    width: int
    module_mm: float | None = None
    width_mm: float | None = None

    @property
    def points(self) -> float:
        """The printed side in points, as PDF and PostScript count."""
        return (self.width_mm or 0) / MM_PER_INCH * 72


def lay_out(size: int, style: Style) -> Layout:
    """Return the layout of a symbol of `size` modules.

    Raises BadField if the image would be too wide, or its modules too small.
    """
    modules = size + 2 * style.border
    if style.size_mm is not None:
        return _printed(style.size_mm, size, style)
    least, most = _least_pixels(style), MAX_WIDTH // modules
    module_size, scale = style.module_size, 1
    if style.width is not None:
        module_size, scale = style.width // modules, modules
    else:
        most = min(most, MAX_MODULE_SIZE)
    if not least <= module_size <= most:
        raise BadField(
            style.sized_by,
            getattr(style, style.sized_by),
            f"{least * scale}..{most * scale} for this data, border, shape and format",
            f"The image has {modules} modules a side, each of at least {least} pixels; "
            f"together {MAX_WIDTH} pixels at most.",
        )
    width = modules * module_size
    layout = Layout(module_size, module_size * style.border, width)
    if style.format not in PRINT_FORMATS:
        return layout
    dot = MM_PER_INCH / style.dpi
    return replace(layout, module_mm=module_size * dot, width_mm=width * dot)


def _least_pixels(style: Style) -> int:
    """Return the smallest module in pixels."""
    if style.format in PRINT_FORMATS:
        return LEAST_DOTS
    return LEAST_SHAPED if style.format == "png" and style.shape != "square" else 1


def _printed(side: float, size: int, style: Style) -> Layout:
    """Return the layout of an image with a printed side in millimetres.

    What whole dots leave of the side of a PNG becomes quiet zone.
    """
    modules = size + 2 * style.border
    dot = MM_PER_INCH / style.dpi
    least_dots = max(LEAST_DOTS, LEAST_MM / dot)  # of a module
    most: float = MOST_MM
    if style.format == "png":
        least_dots = math.ceil(least_dots)
        most = min(most, math.floor(MAX_WIDTH * dot * 10) / 10)
    least = math.ceil(modules * least_dots * dot * 10) / 10
    if least > most:
        others = either([form for form in FORMATS if form != "png"])
        raise BadField("dpi", style.dpi, f"a lower one, or format {others}")
    if not least <= side <= most:
        raise BadField(
            "size_mm",
            side,
            f"{least:g}..{most:g} for this data and border, at {style.dpi} dpi",
            f"The image has {modules} modules a side, each of at least {LEAST_DOTS} "
            f"dots and {LEAST_MM} mm; a PNG {MAX_WIDTH} dots at most.",
        )
    width = round(side / dot)
    module_size = width // modules
    if style.format != "png":
        margin = module_size * style.border
        return Layout(module_size, margin, width, side / modules, side)
    margin = (width - size * module_size) // 2
    width = size * module_size + 2 * margin
    return Layout(module_size, margin, width, module_size * dot, width * dot)
