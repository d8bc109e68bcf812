"""Other programs that open what is printed: pdfium, MuPDF, Poppler and Ghostscript.

The last two are Debian's ghostscript and poppler-utils. Without them, their tests are
skipped, but not in CI.
"""

import os
import shutil
import subprocess
from io import BytesIO

import pymupdf
import pypdfium2
import pytest
from PIL import Image, ImageFilter

needs_ghostscript = pytest.mark.skipif(
    not (shutil.which("gs") and shutil.which("pdftoppm")) and not os.environ.get("CI"),
    reason="apt-get install ghostscript poppler-utils",
)


def by_pdfium(body: bytes, dpi: int) -> Image.Image:
    """Return the first page of a PDF in shades of grey."""
    document = pypdfium2.PdfDocument(body)
    try:
        return document[0].render(scale=dpi / 72).to_pil().convert("L")
    finally:
        document.close()


def by_mupdf(body: bytes, dpi: int) -> Image.Image:
    """Return the first page of a PDF; MuPDF must have nothing to complain about."""
    pymupdf.TOOLS.reset_mupdf_warnings()
    with pymupdf.open(stream=body, filetype="pdf") as document:
        page = document[0].get_pixmap(dpi=dpi)
        size = (page.width, page.height)
        assert not document.is_repaired
    assert pymupdf.TOOLS.mupdf_warnings() == ""
    return Image.frombytes("RGB", size, page.samples).convert("L")


def by_poppler(body: bytes, dpi: int) -> Image.Image:
    """Return the first page of a PDF; Poppler must have nothing to complain about."""
    return _picture(["pdftoppm", "-r", str(dpi), "-png", "-"], body)


def by_ghostscript(body: bytes, dpi: int) -> Image.Image:
    """Return a page of PDF or PostScript; Ghostscript must be silent."""
    options = (f"-r{dpi}", "-sDEVICE=png16m", "-dEPSCrop", "-dGraphicsAlphaBits=4")
    return _picture(["gs", "-q", "-dSAFER", *options, "-o", "-", "-"], body)


def ink_coverage(body: bytes) -> list[float]:
    """Return how much cyan, magenta, yellow and black Ghostscript would print, 0..1."""
    command = ["gs", "-q", "-dSAFER", "-dEPSCrop", "-sDEVICE=inkcov", "-o", "-", "-"]
    words = _run(command, body).split()
    assert words[4:] == [b"CMYK", b"OK"]
    return [float(word) for word in words[:4]]


def as_printed(picture: Image.Image) -> Image.Image:
    """Return a picture as ink that spreads a dot would leave it."""
    return picture.filter(ImageFilter.GaussianBlur(1))


def png(picture: Image.Image) -> bytes:
    """Return a picture as a file, as the readers expect it."""
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _picture(command: list[str], body: bytes) -> Image.Image:
    return Image.open(BytesIO(_run(command, body))).convert("L")


def _run(command: list[str], body: bytes) -> bytes:
    done = subprocess.run(
        command, check=False, input=body, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout
