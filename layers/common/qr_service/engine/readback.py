"""Image back to text: the proof that a code scans, from the bytes that will be stored.

zxing-cpp reads with its lenient options off (no inversion, rotation or downscaling). It
accepts fainter codes than phones do, so contrast is checked separately.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import zxingcpp
from PIL import Image as Raster

from qr_service.engine import svg
from qr_service.engine.colours import reflectance
from qr_service.engine.images import Image
from qr_service.engine.style import Style
from qr_service.errors import Unscannable

# ISO/IEC 15415, 7.8.3: symbol contrast is the difference of the reflectances; 40 % is
# grade C, the lowest that the standard calls readable in common applications.
MIN_CONTRAST = 0.40

# In modules. ISO/IEC 18004, 9.1 requires 4. The readers that were tried need 2, which
# a request may choose. The measured width of a smoothed edge may be slightly off.
MIN_QUIET_ZONE = 1.9

# Share of the error correction that must be left, in every block, after reading a clean
# image.
MIN_MARGIN = 0.4

_FORMATS = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_SVG_SCALE = 8  # pixels per module
_SECOND_LOOK = 2
_SECOND_LOOK_WIDTH = 400  # pixels; version 40 at 2 pixels per module is 370 wide


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of scanning an image.

    `margin` is the share of error correction, 0..1, that was not needed. `quiet_zone`
    is the number of light modules on the narrowest side of the symbol.
    """

    payload: bytes
    margin: float
    quiet_zone: float


def check_contrast(style: Style) -> None:
    """Raise Unscannable unless the code is dark on light with enough contrast.

    A transparent background counts as white.
    """
    inks = {"dark": style.dark}
    if style.gradient:
        inks["gradient"] = style.gradient.to
    for field, ink in inks.items():
        contrast = reflectance(style.light) - reflectance(ink)
        if contrast < MIN_CONTRAST:
            raise Unscannable(
                f"{ink} is not dark enough on {style.light}: scanners need a contrast "
                f"of {MIN_CONTRAST:.0%} of the full range, dark on light; this is "
                f"{contrast:.0%}.",
                field=field,
                received={field: ink, "light": style.light},
                allowed="a darker colour, or a lighter `light`",
            )


def verify(image: Image, data: str, blame: str = "module_size") -> float:
    """Scan the image and return its margin.

    Raises Unscannable, which names the field to `blame`, unless the text is `data` and
    the margin at least MIN_MARGIN. If the quiet zone is too narrow, the field is
    `border`.
    """
    reading = read(image.body)
    if (reading is None or reading.margin < 1) and image.width <= _SECOND_LOOK_WIDTH:
        # A scanner takes many pictures. At 2 pixels per module zxing-cpp samples some
        # perfect symbols badly, from any library; enlarged, it reads them well.
        reading = read(image.body, enlarged=_SECOND_LOOK)
    if reading is None or reading.payload != data.encode():
        raise Unscannable(
            "The image could not be read back; larger modules or a plainer style help.",
            field=blame,
        )
    if reading.margin < MIN_MARGIN:
        raise Unscannable(
            f"Reading the image back used {1 - reading.margin:.0%} of its error "
            f"correction; at most {1 - MIN_MARGIN:.0%} may be used.",
            field=blame,
        )
    if reading.quiet_zone < MIN_QUIET_ZONE:
        raise Unscannable(
            f"The quiet zone has {reading.quiet_zone:.1f} modules; scanners need 2.",
            field="border",
        )
    return reading.margin


def read(body: bytes, enlarged: int = 1) -> Reading | None:
    """Return the one QR code in a PNG or SVG file; None unless there is exactly one.

    `enlarged` is the factor by which the picture is enlarged first, without smoothing.
    """
    pixels = _pixels(body)
    if enlarged > 1:
        size = (pixels.width * enlarged, pixels.height * enlarged)
        pixels = pixels.resize(size, Raster.Resampling.NEAREST)
    found = zxingcpp.read_barcodes(
        pixels,
        formats=_FORMATS,
        try_rotate=False,
        try_downscale=False,
        try_invert=False,
    )
    if len(found) != 1:
        return None
    extra = cast("dict[str, Any]", found[0].extra)
    modules = 17 + 4 * int(extra["Version"])
    # "UEC": unused error correction
    return Reading(found[0].bytes, extra["UEC"], _quiet_zone(pixels, modules))


def _quiet_zone(pixels: Raster.Image, modules: int) -> float:
    """Return the light modules around all dark pixels, on the narrowest side."""
    darkest, lightest = cast("tuple[int, int]", pixels.getextrema())
    middle = (darkest + lightest) // 2
    dark = pixels.point([255] * (middle + 1) + [0] * (255 - middle)).getbbox()
    if dark is None:
        return 0
    left, top, right, bottom = dark
    narrowest = min(left, top, pixels.width - right, pixels.height - bottom)
    return narrowest * modules / (right - left)


def _pixels(body: bytes) -> Raster.Image:
    """Return the picture in shades of grey, on white paper."""
    if body.startswith(b"<svg"):
        return svg.rasterise(body, _SVG_SCALE).convert("L")
    with Raster.open(BytesIO(body)) as file:
        if "transparency" not in file.info and file.mode != "RGBA":
            return file.convert("L")
        layer = file.convert("RGBA")
    paper = Raster.new("RGBA", layer.size, "white")
    return Raster.alpha_composite(paper, layer).convert("L")
