"""The libraries to compare with, each as a competent user calls it.

All do equal work: the same level, the smallest version, 10 pixels per module, a border
of 4 modules, black on white. A symbol is what the library creates before it draws.
"""

import ctypes
import ctypes.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import qrcode
import qrcode.image.svg
import segno
import zxingcpp
from PIL import Image
from pyzbar import pyzbar
from qr_service.engine.layout import lay_out
from qr_service.engine.png import two_colours
from qr_service.engine.style import Style
from qr_service.engine.symbol import INDICATOR, LEVELS, Level
from qrcode.image.styledpil import StyledPilImage
from qrcode.image.styles.colormasks import RadialGradiantColorMask
from qrcode.image.styles.moduledrawers.pil import (
    CircleModuleDrawer,
    GappedSquareModuleDrawer,
    RoundedModuleDrawer,
)

MODULE_SIZE, BORDER = 10, 4


@dataclass(frozen=True, slots=True)
class Library:
    """The functions of a library: text to symbol, and symbol to each kind of file.

    If it draws no files, `proof` is a PNG that we draw of its symbol, to be read.
    """

    encode: Callable[[str, Level], Any]
    png: Callable[[Any], bytes] | None = None
    svg: Callable[[Any], bytes] | None = None
    proof: Callable[[str, Level], bytes] | None = None

    def draw(self, write: Callable[[Any], bytes], data: str, level: Level) -> bytes:
        """Return a text as a file, which `write` creates: `png` or `svg`."""
        return write(self.encode(data, level))


def _qrcode(data: str, level: Level) -> Any:
    code = qrcode.QRCode(
        error_correction=INDICATOR[level], box_size=MODULE_SIZE, border=BORDER
    )
    code.add_data(data)
    code.make(fit=True)
    return code


def _qrcode_png(code: Any, **options: Any) -> bytes:
    file = BytesIO()
    code.make_image(**options).save(file, "PNG")
    return file.getvalue()


def _qrcode_svg(code: Any) -> bytes:
    file = BytesIO()
    code.make_image(image_factory=qrcode.image.svg.SvgPathFillImage).save(file)
    return file.getvalue()


def _segno(data: str, level: Level, mask: int | None = None) -> Any:
    return segno.make(data, error=level, mask=mask, boost_error=False, micro=False)


def _segno_png(code: Any) -> bytes:
    file = BytesIO()
    code.save(file, kind="png", scale=MODULE_SIZE, border=BORDER)
    return file.getvalue()


def _segno_svg(code: Any) -> bytes:
    """Return the shortest SVG that segno can write, with white paper like ours."""
    file = BytesIO()
    code.save(
        file,
        kind="svg",
        scale=MODULE_SIZE,
        border=BORDER,
        light="#fff",
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return file.getvalue()


def _zxing(data: str, level: Level) -> Any:
    return zxingcpp.create_barcode(data, zxingcpp.BarcodeFormat.QRCode, ec_level=level)


def _zxing_png(code: Any) -> bytes:
    pixels = memoryview(code.to_image(scale=MODULE_SIZE))
    file = BytesIO()
    side = len(pixels)
    Image.frombytes("L", (side, side), pixels).save(file, "PNG")
    return file.getvalue()


def _zxing_svg(code: Any) -> bytes:
    return str(code.to_svg(scale=MODULE_SIZE)).encode()


class _Symbol(ctypes.Structure):
    """QRcode of libqrencode: a byte for each module, which is dark if it is odd."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("width", ctypes.c_int),
        ("data", ctypes.POINTER(ctypes.c_ubyte)),
    )


def _libqrencode() -> dict[str, Library]:
    """Return libqrencode if it is installed (Debian: libqrencode4)."""
    name = ctypes.util.find_library("qrencode")
    if not name:
        return {}
    library = ctypes.CDLL(name)
    library.QRcode_encodeString.restype = ctypes.POINTER(_Symbol)
    library.QRcode_free.argtypes = [ctypes.POINTER(_Symbol)]
    any_version, byte_mode, case_sensitive = 0, 2, 1

    def symbol(data: str, level: Level) -> Any:
        found = library.QRcode_encodeString(
            data.encode(), any_version, LEVELS.index(level), byte_mode, case_sensitive
        )
        if not found:
            raise ValueError("libqrencode cannot encode this text")
        return found

    def encode(data: str, level: Level) -> None:
        library.QRcode_free(symbol(data, level))

    def proof(data: str, level: Level) -> bytes:
        found = symbol(data, level)
        width = found.contents.width
        bits = ["01"[module & 1] for module in found.contents.data[: width * width]]
        library.QRcode_free(found)
        starts = range(0, len(bits), width)
        rows = ["".join(bits[start : start + width]) for start in starts]
        style = Style(module_size=MODULE_SIZE, border=BORDER)
        return two_colours(rows, lay_out(width, style), style.dark, style.light)

    return {"libqrencode": Library(encode, proof=proof)}


LIBRARIES: Mapping[str, Library] = {
    "qrcode": Library(_qrcode, _qrcode_png, _qrcode_svg),
    "segno": Library(_segno, _segno_png, _segno_svg),
    "zxing-cpp": Library(_zxing, _zxing_png, _zxing_svg),
    **_libqrencode(),
}

# The options of qrcode's `make_image` that look like our style of the same name.
QRCODE_STYLES: Mapping[str, Mapping[str, Any]] = {
    "rounded": {"module_drawer": RoundedModuleDrawer()},
    "circle": {"module_drawer": CircleModuleDrawer()},
    "gapped": {"module_drawer": GappedSquareModuleDrawer()},
    "gradient": {
        "color_mask": RadialGradiantColorMask((255, 255, 255), (0, 0, 0), (0, 0, 128))
    },
}


def styled_png(data: str, level: Level, style: str) -> bytes:
    """Return a PNG in one of QRCODE_STYLES, drawn by qrcode."""
    code = _qrcode(data, level)
    return _qrcode_png(code, image_factory=StyledPilImage, **QRCODE_STYLES[style])


def segno_svg(data: str, level: Level, mask: int) -> bytes:
    """Return the SVG of the symbol with this mask, drawn by segno."""
    return _segno_svg(_segno(data, level, mask))


def read_by_zbar(body: bytes) -> object:
    """Return the text of a PNG, read by zbar."""
    return pyzbar.decode(Image.open(BytesIO(body)), [pyzbar.ZBarSymbol.QRCODE])
