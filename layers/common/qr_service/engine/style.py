"""The appearance of a symbol: the part of a request that describes it."""

from dataclasses import dataclass
from typing import Literal, get_args

# The choices of a request's fields, each defined once.
Format = Literal["png", "svg", "pdf", "eps"]
Shape = Literal["square", "rounded", "circle", "gapped"]
GradientType = Literal["linear", "radial"]
FORMATS: tuple[Format, ...] = get_args(Format)
BLENDED_FORMATS: tuple[Format, ...] = ("png", "svg")  # with gradients and logos
PRINT_FORMATS: tuple[Format, ...] = ("pdf", "eps")  # always of a size in millimetres
SHAPES: tuple[Shape, ...] = get_args(Shape)
GRADIENT_TYPES: tuple[GradientType, ...] = get_args(GradientType)


@dataclass(frozen=True, slots=True)
class Gradient:
    """A change from the dark colour to `to`: from top to bottom, or from the centre."""

    type: GradientType
    to: str


@dataclass(frozen=True, slots=True)
class Style:
    """The appearance of a symbol.

    Its size is `size_mm`, the printed side in millimetres, or else `width`, at most so
    many pixels, or else `module_size`, in pixels per module. `border` (the quiet zone)
    is in modules, `dpi` in dots per inch. Colours are `#rrggbb`; `light` may be
    `transparent`. `logo` is the file of a PNG or JPEG, `logo_size` the side of its
    square as a fraction of the symbol's side.
    """

    format: Format = "png"
    module_size: int = 10
    width: int | None = None
    size_mm: float | None = None
    dpi: int = 300
    border: int = 4
    dark: str = "#000000"
    light: str = "#ffffff"
    shape: Shape = "square"
    gradient: Gradient | None = None
    logo: bytes | None = None
    logo_size: float | None = None

    @property
    def sized_by(self) -> str:
        """The name of the field that decides the size."""
        if self.size_mm is not None:
            return "size_mm"
        return "module_size" if self.width is None else "width"
