"""How a symbol is drawn: the part of a request that concerns its looks."""

from dataclasses import dataclass
from typing import Literal, get_args

# The choices of a request's fields, each written once.
Format = Literal["png", "svg"]
Shape = Literal["square", "rounded", "circle", "gapped"]
GradientType = Literal["linear", "radial"]
FORMATS: tuple[Format, ...] = get_args(Format)
SHAPES: tuple[Shape, ...] = get_args(Shape)
GRADIENT_TYPES: tuple[GradientType, ...] = get_args(GradientType)


@dataclass(frozen=True, slots=True)
class Gradient:
    """The dark colour changes into `to`: from top to bottom, or from the centre."""

    type: GradientType
    to: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a symbol is drawn.

    `module_size` is in pixels per module, `border` (the quiet zone) in modules, colours
    are `#rrggbb`; `light` may be `transparent`. `logo` is the file of a PNG or JPEG,
    `logo_size` the side of the square it gets, as a fraction of the symbol's.
    """

    format: Format = "png"
    module_size: int = 10
    border: int = 4
    dark: str = "#000000"
    light: str = "#ffffff"
    shape: Shape = "square"
    gradient: Gradient | None = None
    logo: bytes | None = None
    logo_size: float | None = None
