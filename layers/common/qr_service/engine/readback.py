"""Image back to text: the proof that a code scans, from the bytes that will be stored.

zxing-cpp reads with its lenient options off (no inversion, rotation or downscaling). It
accepts fainter codes than phones do, so contrast is checked separately.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import zxingcpp
from PIL import Image as Raster

from qr_service.engine import eps, paths, pdf, svg
from qr_service.engine.colours import darkened, luma, reflectance
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
_SCALE = 8  # pixels per module, at which a vector file is drawn
_FIRST_LOOK = 2  # pixels per module
_SECOND_LOOK = 2
_SECOND_LOOK_WIDTH = 400  # pixels; version 40 at 2 pixels per module is 370 wide


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of scanning an image.

    `text` is the payload as the symbol announces it or, without an ECI, as the reader
    guesses. `margin` is the share of error correction, 0..1, that was not needed.
    `quiet_zone` is the number of light modules on the narrowest side of the symbol.
    """

    payload: bytes
    text: str
    margin: float
    quiet_zone: float


def check_contrast(style: Style) -> None:
    """Raise Unscannable unless readers see the code as dark on light.

    The error has the nearest colour that is dark enough. A transparent background
    counts as white.
    """
    inks = {"dark": style.dark}
    if style.gradient:
        inks["gradient"] = style.gradient.to
    for field, ink in inks.items():
        fault = _contrast_fault(ink, style.light)
        if not fault:
            continue
        shares = (share / 255 for share in range(255, -1, -1))
        dark_enough = (
            colour
            for share in shares
            if not _contrast_fault(colour := darkened(ink, share), style.light)
        )
        allowed = next(dark_enough, "a lighter `light`")
        raise Unscannable(
            f"{ink} is not dark enough on {style.light}: {fault}",
            field=field,
            received={field: ink, "light": style.light},
            allowed=allowed,
        )


def _contrast_fault(dark: str, light: str) -> str:
    """Return why two colours are too alike, "" if they are not."""
    contrast = reflectance(light) - reflectance(dark)
    if contrast < MIN_CONTRAST:
        return (
            f"scanners need a contrast of {MIN_CONTRAST:.0%} of the full range, dark on"
            f" light; this is {contrast:.0%}."
        )
    if 2 * (luma(dark) + 1) > luma(light):  # they round down
        return (
            "camera libraries call dark what has less than half of the light colour's"
            f" brightness; this has {luma(dark) / luma(light):.0%}."
        )
    return ""


def verify(
    image: Image, data: str, blame: str = "module_size", *, announced: bool = False
) -> float:
    """Scan the image and return its margin.

    Raises Unscannable, which names the field to `blame`, unless the payload is `data`
    in UTF-8 (and the text is, if it is `announced`) and the margin at least MIN_MARGIN.
    If the quiet zone is too narrow, the field is
    `border`.
    """
    reading = read(image.body, image.module_size)
    if (reading is None or reading.margin < 1) and image.width <= _SECOND_LOOK_WIDTH:
        # A scanner takes many pictures. At 2 pixels per module zxing-cpp samples some
        # perfect symbols badly, from any library; enlarged, it reads them well.
        reading = read(image.body, enlarged=_SECOND_LOOK)
    if (
        reading is None
        or reading.payload != data.encode()
        or (announced and reading.text != data)
    ):
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


def read(body: bytes, module_size: int = 1, *, enlarged: int = 1) -> Reading | None:
    """Return the one QR code in a file that `render` made; None unless it has one.

    If the picture consists of squares of `module_size` pixels, fewer pixels of each say
    the same, and are scanned in a fifth of the time. Only a perfect reading of them
    counts; otherwise the whole picture decides. `enlarged` is the factor by which it is
    enlarged first, without smoothing.
    """
    vector = drawn(body)
    if vector:
        module_size = _SCALE
    pixels = vector or _pixels(body)
    small = _reduced(pixels, module_size)
    if small:
        reading = _scan(small)
        if reading and reading.margin == 1:
            return reading
    return _scan(_enlarged(pixels, enlarged))


def drawn(body: bytes) -> Raster.Image | None:
    """Return the picture of a vector file in shades of grey, None for another file."""
    if body.startswith(b"<svg"):
        return svg.rasterise(body, _SCALE).convert("L")
    if body.startswith(b"%PDF"):
        return paths.rasterise(pdf.read(body), _SCALE).convert("L")
    if body.startswith(b"%!PS"):
        return paths.rasterise(eps.read(body), _SCALE).convert("L")
    return None


def _scan(pixels: Raster.Image) -> Reading | None:
    found = zxingcpp.read_barcodes(
        pixels,
        formats=_FORMATS,
        try_rotate=False,
        try_downscale=False,
        try_invert=False,
        text_mode=zxingcpp.TextMode.Plain,
    )
    if len(found) != 1:
        return None
    extra = cast("dict[str, Any]", found[0].extra)
    version = str(extra["Version"])
    if not version.isdecimal():  # a Micro QR code, in damage or in a logo
        return None
    modules = 17 + 4 * int(version)
    # "UEC": unused error correction
    return Reading(
        found[0].bytes,
        found[0].text,
        extra["UEC"],
        _quiet_zone(pixels, modules),
    )


def _reduced(pixels: Raster.Image, module_size: int) -> Raster.Image | None:
    """Return the same picture with _FIRST_LOOK pixels per module; None if none is.

    The mean of a square is the darkest or the lightest shade only if all of its pixels
    are, as long as one pixel weighs enough to change the rounded mean.
    """
    times = max(n for n in range(1, 16) if module_size % n == 0)
    if times == 1 or module_size <= _FIRST_LOOK or pixels.width % times:
        return None
    darkest, lightest = cast("tuple[int, int]", pixels.getextrema())
    if 2 * (lightest - darkest) <= times * times:
        return None
    small = pixels.reduce(times)
    shades = small.histogram()
    if shades[darkest] + shades[lightest] < small.width * small.height:
        return None
    return _enlarged(small, -(-_FIRST_LOOK * times // module_size))


def _enlarged(pixels: Raster.Image, times: int) -> Raster.Image:
    if times == 1:
        return pixels
    size = (pixels.width * times, pixels.height * times)
    return pixels.resize(size, Raster.Resampling.NEAREST)


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
    """Return the picture of a PNG in shades of grey, on white paper."""
    with Raster.open(BytesIO(body)) as file:
        grey = file.convert("L")
        if file.mode not in ("LA", "RGBA"):
            return grey
        opacity = file.getchannel("A")
    return Raster.composite(grey, Raster.new("L", grey.size, 255), opacity)
