"""Other readers of QR codes: zbar, which is stricter than zxing-cpp, and OpenCV.

zbar needs Debian's libzbar0. Without it, its tests are skipped, but not in CI.
"""

import os
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image as Raster
from qr_service.engine.readback import drawn

try:
    from pyzbar import pyzbar
except ImportError:
    pyzbar = None

needs_zbar = pytest.mark.skipif(
    pyzbar is None and not os.environ.get("CI"), reason="apt-get install libzbar0"
)

_ONE_PIXEL_A_MODULE = 217  # the widest such picture: version 40, border 20


def zbar_reads(body: bytes) -> bytes | None:
    """Return the payload of the only QR code in an image file; None unless it has one.

    Small pictures are doubled in size: zbar fails at one pixel a module, but reads the
    same picture when each pixel becomes four.
    """
    seen = picture(body)
    if seen.width <= _ONE_PIXEL_A_MODULE:
        seen = seen.resize((2 * seen.width,) * 2, Raster.Resampling.NEAREST)
    found = pyzbar.decode(seen, [pyzbar.ZBarSymbol.QRCODE])
    return found[0].data if len(found) == 1 else None


def opencv_reads(body: bytes) -> bytes | None:
    """Return the payload of the QR code that OpenCV reads in an image file."""
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(np.asarray(picture(body)))
    return text.encode() or None


def picture(body: bytes) -> Raster.Image:
    """Return an image file in shades of grey on white paper."""
    if vector := drawn(body):
        return vector
    raster = Raster.open(BytesIO(body)).convert("RGBA")
    paper = Raster.new("RGBA", raster.size, "white")
    return Raster.alpha_composite(paper, raster).convert("L")
