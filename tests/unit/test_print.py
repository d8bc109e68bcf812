"""PDF and EPS: one page of vectors that programs for print open and draw alike."""

import re
import zlib
from dataclasses import replace

import pytest
from PIL import ImageChops
from qr_service.engine import eps, paths, pdf
from qr_service.engine.colours import ink_of, of_ink
from qr_service.engine.images import render
from qr_service.engine.readback import verify
from qr_service.engine.style import PRINT_FORMATS, SHAPES, Style
from qr_service.engine.symbol import encode

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
SYMBOL = encode(DATA)
POINTS_PER_MM = 72 / 25.4
DPIS = (203, 300, 600)
WRITERS = {"pdf": pdf, "eps": eps}
LOOKS = [
    Style(format=form, shape=shape, size_mm=30, **look)
    for form in PRINT_FORMATS
    for shape in SHAPES
    for look in (
        {},
        {"dark": "#1a237e", "light": "#fff8e7"},
        {"light": "transparent", "border": 2},
    )
]


def named(style):
    return f"{style.format}-{style.shape}-{style.dark}-{style.light}"


PROGRAMS = {
    "pdf": (by_ghostscript, by_poppler, by_mupdf, by_pdfium),
    "eps": (by_ghostscript,),
}


@needs_ghostscript
@needs_zbar
@pytest.mark.parametrize("dpi", DPIS)
@pytest.mark.parametrize("style", LOOKS, ids=named)
def test_every_program_draws_a_code_that_two_readers_read(style, dpi):
    for program in PROGRAMS[style.format]:
        picture = program(render(SYMBOL, style).body, dpi)
        side = 30 / 25.4 * dpi
        assert abs(picture.width - side) <= 1.5
        assert picture.width == picture.height
        blurred = png(as_printed(picture))
        assert zbar_reads(blurred) == DATA.encode()
        assert opencv_reads(blurred) == DATA.encode()


@needs_ghostscript
@pytest.mark.parametrize("style", LOOKS, ids=named)
def test_what_is_proven_is_what_the_programs_draw(style):
    """Pixel by pixel, at 8 a module; Poppler draws circles a little larger.

    pdfium is left out: it makes the page a pixel wider than it is.
    """
    style = replace(style, size_mm=None, module_size=8)
    body = render(SYMBOL, style).body
    own = paths.rasterise(WRITERS[style.format].read(body), 8).convert("L")
    for program in set(PROGRAMS[style.format]) - {by_pdfium}:
        seen = black_or_white(program(body, 300))
        differing = ImageChops.difference(seen, black_or_white(own)).histogram()[255]
        most = 0.05 if program is by_poppler else 0
        assert differing / (own.width * own.height) <= most


def black_or_white(picture):
    return picture.point([0] * 128 + [255] * 128)


@needs_ghostscript
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", PRINT_FORMATS)
def test_black_is_black_ink_alone(form, shape):
    cyan, magenta, yellow, black = ink_coverage(
        render(SYMBOL, Style(format=form, shape=shape)).body
    )
    assert (cyan, magenta, yellow) == (0, 0, 0)
    assert 0.2 < black < 0.5
    coloured = Style(format=form, shape=shape, dark="#1a237e")
    assert ink_coverage(render(SYMBOL, coloured).body)[0] > 0


def test_a_pdf_of_a_short_url_has_two_kilobytes():
    assert len(DATA) == 60
    assert len(render(SYMBOL, Style(format="pdf")).body) <= 2048


@pytest.mark.parametrize("style", LOOKS, ids=named)
def test_reading_a_file_gives_the_drawing_that_was_written(style):
    drawing = paths.drawing_of(SYMBOL, style)
    writer = WRITERS[style.format]
    body = writer.write(drawing, 85.0394)
    read = writer.read(body)
    assert (read.start, read.modules) == (drawing.start, drawing.modules)
    assert [colour for colour, _ in read.fills] == [
        colour for colour, _ in drawing.fills
    ]
    for (_, wanted), (_, found) in zip(drawing.fills, read.fills, strict=True):
        assert flat(found) == flat(wanted)
    assert body == writer.write(drawing, 85.0394), "equal input, equal bytes"


def flat(path):
    return [
        (command, tuple(round(number, 3) for number in numbers))
        for command, numbers in paths.commands(path)
    ]


@pytest.mark.parametrize("form", PRINT_FORMATS)
def test_damage_in_the_file_is_seen(form):
    """The proof is made from the file: what is not in it cannot be read."""
    image = render(SYMBOL, Style(format=form))
    assert verify(image, DATA)
    drawing = WRITERS[form].read(image.body)
    (paper, whole), (ink, path) = drawing.fills
    half = path[: len(path) // 2].rpartition("M")[0]
    broken = paths.Drawing(
        drawing.start, drawing.modules, [(paper, whole), (ink, half)]
    )
    body = WRITERS[form].write(broken, 85)
    with pytest.raises(Exception, match="could not be read back"):
        verify(type(image)(body, image.content_type, image.width), DATA)


@pytest.mark.parametrize("form", PRINT_FORMATS)
def test_a_strange_file_is_no_drawing(form):
    for body in (b"", b"%PDF-1.4\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(ValueError, match="without"):
            WRITERS[form].read(body)


def test_a_pdf_says_where_everything_is():
    """Offsets, the count of objects, and boxes of the printed size."""
    image = render(SYMBOL, Style(format="pdf", size_mm=40))
    body = image.body
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", body)[1])
    table = body[start:]
    assert table.startswith(b"xref\n0 5\n0000000000 65535 f \n")
    for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n \n", table), 1):
        assert body[int(offset) :].startswith(b"%d 0 obj" % number)
    length = int(re.search(rb"/Length (\d+)", body)[1])
    stream = body[body.index(b"stream\n") + 7 :][:length]
    assert zlib.decompress(stream).endswith(b"\nf")
    box = re.search(rb"/MediaBox\[0 0 (\S+) (\S+)\]/TrimBox\[0 0 (\S+) (\S+)\]", body)
    for side in box.groups():
        assert float(side) == pytest.approx(40 * POINTS_PER_MM, abs=0.001)


def test_an_eps_keeps_to_the_conventions():
    lines = render(SYMBOL, Style(format="eps", size_mm=40)).body.decode().split("\n")
    assert lines[0] == "%!PS-Adobe-3.0 EPSF-3.0"
    assert lines[1] == "%%BoundingBox: 0 0 114 114"
    exact = [float(word) for word in lines[2].split()[1:]]
    assert exact == pytest.approx([0, 0, *[40 * POINTS_PER_MM] * 2], abs=0.001)
    assert max(map(len, lines)) <= 255
    assert lines[-2:] == ["%%EOF", ""]
    largest = render(encode("x" * 2900, "L"), Style(format="eps", shape="circle"))
    assert max(map(len, largest.body.split(b"\n"))) <= 255


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#1a237e", "#010101"])
def test_inks_are_colours_and_back(colour):
    ink = ink_of(colour)
    assert len(ink) == (4 if colour in {"#000000", "#ffffff"} else 3)
    assert of_ink([float(f"{number:.4g}") for number in ink]) == colour


@pytest.mark.parametrize("ink", [(1, 0, 0, 0), (0.5, 0.5), (0, 0, 0, 0.5)])
def test_other_inks_are_refused(ink):
    with pytest.raises(ValueError, match="ink"):
        of_ink(ink)
