"""What is for paper, at the running service: drawn by other programs, and scanned."""

import base64
import struct
from io import BytesIO

import pytest
from PIL import Image as Raster
from qr_service.engine.style import SHAPES

from local import http
from tests.support.printers import (
    as_printed,
    by_ghostscript,
    by_mupdf,
    by_pdfium,
    by_poppler,
    ink_coverage,
    needs_ghostscript,
    png,
)
from tests.support.scanners import needs_zbar, opencv_reads, zbar_reads

DATA = "https://example.com/menu/terrace?table=12&lang=en&ref=abcdef"
DPIS = (203, 300, 600)
PROGRAMS = {
    "pdf": (by_pdfium, by_ghostscript, by_poppler, by_mupdf),
    "eps": (by_ghostscript,),
}


def made(service, **fields):
    created = http.post(f"{service}/generate", {"data": DATA, **fields})
    assert created.status == 201, created
    found = http.get(f"{service}/retrieve/{created.json['qr_id']}")
    return created.json, http.get(found.json["qr_code"])


@needs_ghostscript
@needs_zbar
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", PROGRAMS)
def test_a_vector_file_is_drawn_by_every_program_and_read(service, form, shape):
    answer, image = made(service, format=form, shape=shape, size_mm=30)
    assert (answer["format"], answer["width_mm"]) == (form, 30)
    if form == "pdf" and shape == "square":
        assert len(image.body) <= 2048
    for program in PROGRAMS[form]:
        for dpi in DPIS:
            picture = program(image.body, dpi)
            assert abs(picture.width - 30 / 25.4 * dpi) <= 1.5
            blurred = png(as_printed(picture))
            assert zbar_reads(blurred) == opencv_reads(blurred) == DATA.encode()
    cyan, magenta, yellow, black = ink_coverage(image.body)
    assert (cyan, magenta, yellow) == (0, 0, 0)
    assert black > 0.2


@needs_zbar
@pytest.mark.parametrize("dpi", DPIS)
@pytest.mark.parametrize("side", [25, 40.5])
def test_a_png_for_a_printer_has_its_dots_and_its_size(service, side, dpi):
    answer, image = made(service, size_mm=side, dpi=dpi)
    raster = Raster.open(BytesIO(image.body))
    assert raster.width == answer["width"]
    place = image.body.index(b"pHYs") + 4
    across, down, unit = struct.unpack(">IIB", image.body[place : place + 9])
    assert (across, down, unit) == (round(dpi / 0.0254), round(dpi / 0.0254), 1)
    printed = raster.width / across * 1000
    assert printed == pytest.approx(answer["width_mm"], abs=0.01)
    assert abs(printed - side) <= answer["module_mm"] / 2
    dots = answer["module_mm"] / 25.4 * dpi
    assert dots == pytest.approx(round(dots), abs=0.05)
    modules = 17 + 4 * answer["version"]
    left, top, right, bottom = raster.convert("L").point(lambda v: 255 - v).getbbox()
    assert right - left == bottom - top == modules * round(dots)
    blurred = png(as_printed(raster.convert("L")))
    assert zbar_reads(blurred) == opencv_reads(blurred) == DATA.encode()


def test_too_small_is_refused_with_the_least_size_which_works(service):
    for fields in ({"format": "pdf"}, {"format": "png", "dpi": 203}, {"format": "svg"}):
        body = {"data": DATA, "size_mm": 10, **fields}
        refused = http.post(f"{service}/generate", body)
        assert (refused.status, refused.json["field"]) == (400, "size_mm")
        least = float(refused.json["allowed"].split("..")[0])
        answer, _ = made(service, **{**fields, "size_mm": least})
        assert answer["module_mm"] >= 0.33


def test_each_format_says_what_it_is_and_what_it_is_called(service):
    for form, kind in {
        "png": "image/png",
        "svg": "image/svg+xml",
        "pdf": "application/pdf",
        "eps": "application/postscript",
    }.items():
        answer, image = made(service, format=form, label="Menu, terrace")
        assert image.headers["Content-Type"] == kind
        disposition = image.headers["Content-Disposition"]
        assert disposition == f'inline; filename="Menu, terrace.{form}"'
        found = http.get(f"{service}/retrieve/{answer['qr_id']}", Accept=kind)
        assert found.status == 302
        assert http.get(found.headers["Location"]).body == image.body


def test_the_image_in_the_answer_is_the_one_that_is_stored(service):
    url = f"{service}/generate?include=image"
    created = http.post(url, {"data": DATA, "format": "pdf"})
    found = http.get(f"{service}/retrieve/{created.json['qr_id']}")
    head, _, text = created.json["image"].partition(",")
    assert head == "data:application/pdf;base64"
    assert base64.b64decode(text) == http.get(found.json["qr_code"]).body
