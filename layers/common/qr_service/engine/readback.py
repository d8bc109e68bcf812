"""Image back to text: the proof that a code scans, from the bytes that will be stored.

zxing-cpp reads with its lenient options off (no inversion, rotation or downscaling). It
accepts fainter codes than phones do, so contrast has a rule of its own.
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
# grade C, the least that the standard calls readable in common applications.
MIN_CONTRAST = 0.40

# In modules. ISO/IEC 18004, 9.1 asks for 4; 2 are what the readers that were tried need
# and what a request may ask for. A smoothed edge may be measured a bit off.
MIN_QUIET_ZONE = 1.9

# Share of the error correction that reading a clean image may not use up, in any block.
MIN_MARGIN = 0.4

_FORMATS = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_SVG_SCALE = 8  # pixels a module
_SECOND_LOOK = 2
_SECOND_LOOK_WIDTH = 400  # pixels; version 40 at 2 pixels a module is 370 wide


@dataclass(frozen=True, slots=True)
class Reading:
    """What a scanner made of an image.

    `margin` is the share of error correction, 0..1, that it did not need; `quiet_zone`
    how many modules of light there are on each side of the symbol, at the least.
    """

    payload: bytes
    margin: float
    quiet_zone: float


def check_contrast(style: Style) -> None:
    """Raises Unscannable unless the code is dark on light with enough contrast.

    A transparent background is judged as white.
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
    """The margin of a scanner that reads exactly `data` from the image.

    Raises Unscannable, with the field to `blame`, unless it does, and with at least
    MIN_MARGIN to spare.
    """
    reading = read(image.body)
    if (reading is None or reading.margin < 1) and image.width <= _SECOND_LOOK_WIDTH:
        # A scanner takes many pictures. At 2 pixels a module zxing-cpp samples some
        # perfect symbols badly, whoever drew them; enlarged it reads them well.
        reading = read(image.body, enlarged=_SECOND_LOOK)
    if reading is None or reading.payload != data.encode():
        raise Unscannable(
            "The image could not be read back; larger modules or a plainer style help.",
            field=blame,
        )
    if reading.margin < MIN_MARGIN:
        raise Unscannable(
            f"Reading the image back took {1 - reading.margin:.0%} of its error "
            f"correction, at most {1 - MIN_MARGIN:.0%} may be used.",
            field=blame,
        )
    if reading.quiet_zone < MIN_QUIET_ZONE:
        raise Unscannable(
            f"The quiet zone has {reading.quiet_zone:.1f} modules, scanners need 2.",
            field="border",
        )
    return reading.margin


def read(body: bytes, enlarged: int = 1) -> Reading | None:
    """The one QR code in an image file, PNG or SVG; None unless there is just one.

    `enlarged` is by how much the picture is enlarged before, without smoothing.
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
    """Modules of light around all that is dark, on the narrowest side."""
    darkest, lightest = cast("tuple[int, int]", pixels.getextrema())
    middle = (darkest + lightest) // 2
    dark = pixels.point([255] * (middle + 1) + [0] * (255 - middle)).getbbox()
    if dark is None:
        return 0
    left, top, right, bottom = dark
    narrowest = min(left, top, pixels.width - right, pixels.height - bottom)
    return narrowest * modules / (right - left)


def _pixels(body: bytes) -> Raster.Image:
    """The picture in shades of grey, laid on white paper."""
    if body.startswith(b"<svg"):
        return svg.rasterise(body, _SVG_SCALE).convert("L")
    with Raster.open(BytesIO(body)) as file:
        if "transparency" not in file.info and file.mode != "RGBA":
            return file.convert("L")
        layer = file.convert("RGBA")
    paper = Raster.new("RGBA", layer.size, "white")
    return Raster.alpha_composite(paper, layer).convert("L")
