"""Symbol to image: every module a square of whole pixels, the quiet zone around it.

Equal input gives equal bytes.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from PIL import Image as Raster
from PIL import PngImagePlugin as _PngImagePlugin  # noqa: F401  PNG support is a plug-in

from qr_service.errors import BadRequest
from qr_service.symbol import Symbol

MAX_WIDTH = 4096  # pixels
TRANSPARENT = "transparent"


@dataclass(frozen=True, slots=True)
class Style:
    """How a symbol is drawn.

    `module_size` is in pixels per module, `border` (the quiet zone) in modules, colours
    are `#RRGGBB`; `light` may be `transparent`.
    """

    format: Literal["png"] = "png"
    module_size: int = 10
    border: int = 4
    dark: str = "#000000"
    light: str = "#ffffff"


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image file; `width` is in pixels, and the height as well."""

    body: bytes
    content_type: str
    width: int


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#RRGGBB`, 0..255 each; white for `transparent`."""
    if colour == TRANSPARENT:
        return 255, 255, 255
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def render(symbol: Symbol, style: Style) -> Image:
    """The PNG of a symbol; raises BadRequest when it would be wider than MAX_WIDTH."""
    modules = symbol.size + 2 * style.border
    width = modules * style.module_size
    if width > MAX_WIDTH:
        largest = MAX_WIDTH // modules
        raise BadRequest(
            "out_of_range",
            f"The image would be {width} pixels wide ({modules} modules of "
            f"{style.module_size}); at most {MAX_WIDTH} are allowed.",
            field="module_size",
            received=style.module_size,
            allowed=f"1..{largest} for this data and border",
        )
    raster = _draw(symbol, style.border).resize(
        (width, width), Raster.Resampling.NEAREST
    )
    # Index 0 is light, index 1 dark; PNG keeps two colours at one bit a pixel.
    raster.putpalette([*rgb(style.light), *rgb(style.dark)])
    file = BytesIO()
    if style.light == TRANSPARENT:
        raster.save(file, "PNG", bits=1, optimize=True, transparency=0)
    else:
        raster.save(file, "PNG", bits=1, optimize=True)
    return Image(body=file.getvalue(), content_type="image/png", width=width)


def _draw(symbol: Symbol, border: int) -> Raster.Image:
    """The symbol at one pixel a module, palette indices 0 (light) and 1 (dark)."""
    modules = symbol.size + 2 * border
    margin = bytes(border)
    blank = bytes(modules) * border
    lines = (
        margin + bytes(map(int, f"{row:0{symbol.size}b}")) + margin
        for row in symbol.rows
    )
    return Raster.frombytes("P", (modules, modules), blank + b"".join(lines) + blank)
