"""The second opinion on what scans: zbar, stricter than zxing-cpp.

It needs Debian's libzbar0. Where that is missing its tests are skipped, but not in CI.
"""

import os
from io import BytesIO

import pytest
from PIL import Image as Raster

try:
    from pyzbar import pyzbar
except ImportError:
    pyzbar = None

needs_zbar = pytest.mark.skipif(
    pyzbar is None and not os.environ.get("CI"), reason="apt-get install libzbar0"
)


def zbar_reads(body: bytes) -> bytes | None:
    """The payload of the one QR code in an image file, laid on white paper."""
    raster = Raster.open(BytesIO(body)).convert("RGBA")
    paper = Raster.alpha_composite(Raster.new("RGBA", raster.size, "white"), raster)
    found = pyzbar.decode(paper.convert("L"), [pyzbar.ZBarSymbol.QRCODE])
    return found[0].data if len(found) == 1 else None
