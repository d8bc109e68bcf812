"""Image back to text: the proof that a code scans, from the bytes that will be stored.

zxing-cpp reads with its lenient options off (no inversion, rotation or downscaling). It
accepts fainter codes than phones do, so contrast has a rule of its own.
"""

from io import BytesIO

import zxingcpp
from PIL import Image as Raster

from qr_service.errors import Unscannable
from qr_service.images import Image, Style, rgb

# ISO/IEC 15415, 7.8.3: symbol contrast is the difference of the reflectances; 40 % is
# grade C, the least that the standard calls readable in common applications.
MIN_CONTRAST = 0.40


def check_contrast(style: Style) -> None:
    """Raises Unscannable unless the code is dark on light with enough contrast.

    A transparent background is judged as white.
    """
    contrast = _reflectance(style.light) - _reflectance(style.dark)
    if contrast < MIN_CONTRAST:
        raise Unscannable(
            "The dark colour is not dark enough on the light one: their contrast is "
            f"{contrast:.0%} of the full range, scanners need {MIN_CONTRAST:.0%}.",
            field="dark",
            received={"dark": style.dark, "light": style.light},
            allowed="a darker `dark` or a lighter `light`",
        )


def verify(image: Image, data: str) -> None:
    """Raises Unscannable unless a scanner reads exactly `data` from the image."""
    if read(image.body) != data.encode():
        raise Unscannable(
            "The image could not be read back; a larger module_size helps.",
            field="module_size",
        )


def read(body: bytes) -> bytes | None:
    """The payload of the one QR code in an image file, None when there is none."""
    with Raster.open(BytesIO(body)) as file:
        pixels = _on_white(file)
    found = zxingcpp.read_barcodes(
        pixels,
        formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode),
        try_rotate=False,
        try_downscale=False,
        try_invert=False,
    )
    return found[0].bytes if len(found) == 1 else None


def _on_white(file: Raster.Image) -> Raster.Image:
    if "transparency" not in file.info:
        return file.convert("L")
    layer = file.convert("RGBA")
    paper = Raster.new("RGBA", layer.size, "white")
    return Raster.alpha_composite(paper, layer).convert("L")


def _reflectance(colour: str) -> float:
    """Relative luminance 0..1 of an sRGB colour (IEC 61966-2-1)."""
    red, green, blue = (_linear(value / 255) for value in rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return (
        value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
    )
