"""The second opinion on what scans: zbar, stricter than zxing-cpp.

It needs Debian's libzbar0. Where that is missing its tests are skipped, but not in CI.
"""

import os
from io import BytesIO

import pytest
from PIL import Image as Raster
from qr_service.engine import svg

try:
    from pyzbar import pyzbar
except ImportError:
    pyzbar = None

needs_zbar = pytest.mark.skipif(
    pyzbar is None and not os.environ.get("CI"), reason="apt-get install libzbar0"
)

_ONE_PIXEL_A_MODULE = 217  # the widest picture of such: version 40, border 20


def zbar_reads(body: bytes) -> bytes | None:
    """The payload of the one QR code in an image file, cleanly rendered.

    That is with at least two pixels a module: zbar misses modules of one pixel, and
    reads the very same picture when each pixel is four.
    """
    seen = picture(body)
    if seen.width <= _ONE_PIXEL_A_MODULE:
        seen = seen.resize((2 * seen.width,) * 2, Raster.Resampling.NEAREST)
    found = pyzbar.decode(seen, [pyzbar.ZBarSymbol.QRCODE])
    return found[0].data if len(found) == 1 else None


def picture(body: bytes) -> Raster.Image:
    """An image file, PNG or SVG, in shades of grey on white paper."""
    if body.startswith(b"<svg"):
        return svg.rasterise(body, 8).convert("L")
    raster = Raster.open(BytesIO(body)).convert("RGBA")
    paper = Raster.new("RGBA", raster.size, "white")
    return Raster.alpha_composite(paper, raster).convert("L")
