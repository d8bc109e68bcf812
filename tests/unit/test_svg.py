import random
import re
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import pytest
import resvg_py
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Raster
from PIL import ImageChops
from qr_service.engine import outlines
from qr_service.engine.images import render
from qr_service.engine.logo import place
from qr_service.engine.readback import read
from qr_service.engine.style import SHAPES, Gradient, Style
from qr_service.engine.svg import rasterise
from qr_service.engine.symbol import encode

from tests.support.logos import letter
from tests.support.scanners import picture

SVG = Style(format="svg", dark="#1a3c8f", light="#fff8e7")
SYMBOLS = [encode("x" * length) for length in (1, 30, 122, 900)]
NAMESPACE = "{http://www.w3.org/2000/svg}"


def elements(image):
    """Return the root of the document, and the names of its elements."""
    root = ElementTree.fromstring(image.body)
    return root, [child.tag.removeprefix(NAMESPACE) for child in root]


def test_an_svg_is_one_path_on_a_background_in_units_of_modules():
    symbol = SYMBOLS[1]
    image = render(symbol, replace(SVG, module_size=7, border=3))
    modules = symbol.size + 2 * 3
    root, names = elements(image)
    assert root.tag == f"{NAMESPACE}svg"
    assert root.get("viewBox") == f"-3 -3 {modules} {modules}"
    assert root.get("width") == root.get("height") == str(7 * modules)
    assert (image.content_type, image.width) == ("image/svg+xml", 7 * modules)
    assert names == ["path", "path"]
    paper, ink = root
    assert paper.attrib == {
        "fill": "#fff8e7",
        "d": f"M-3 -3h{modules}v{modules}h-{modules}z",
    }
    assert ink.get("fill") == "#1a3c8f"


def test_a_transparent_background_is_not_drawn():
    assert elements(render(SYMBOLS[0], replace(SVG, light="transparent")))[1] == [
        "path"
    ]


def windings(path, size):
    """Return how often the path winds around each module (SVG 2, 13.4.2, nonzero)."""
    around = [[0] * size for _ in range(size)]

    def vertical(x, start, end):
        for row in range(min(start, end), max(start, end)):
            for column in range(x, size):
                around[row][column] += 1 if end < start else -1

    for part in path.split("M")[1:]:
        (x, y), steps = map(int, re.match(r"\d+ \d+", part)[0].split()), part
        first = y
        for command, length in re.findall(r"([hv])(-?\d+)", steps):
            if command == "h":
                x += int(length)
            else:
                vertical(x, y, y + int(length))
                y += int(length)
        vertical(x, y, first)
    return around


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda s: f"version {s.version}")
def test_the_outlines_wind_once_around_the_dark_modules_and_no_others(symbol):
    """The test reads the path itself, without the service's reader."""
    path = elements(render(symbol, replace(SVG, border=4)))[0][-1].get("d")
    expected = [[int(module) for module in row] for row in symbol.rows]
    assert windings(path, symbol.size) == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1), st.integers(0, 2**32))
def test_any_bitmap_has_outlines_and_is_found_again(size, share, seed):
    rng = random.Random(seed)
    rows = [
        "".join("01"[rng.random() < share] for _ in range(size)) for _ in range(size)
    ]
    path = outlines.outlines(rows)
    assert windings(path, size) == [[int(module) for module in row] for row in rows]
    assert outlines.modules(path, size) == rows


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gradient", [None, "linear", "radial"])
@pytest.mark.parametrize("light", ["#fff8e7", "transparent"])
def test_another_renderer_draws_what_scans(shape, gradient, light):
    """The renderer is resvg, which shares no code with ours."""
    data = "https://example.com/another?renderer=1"
    style = replace(SVG, shape=shape, light=light, logo=letter())
    if gradient:
        style = replace(style, gradient=Gradient(gradient, "#8b0000"))
    symbol, size = place(data, "M", None)
    text = render(symbol, replace(style, logo_size=size)).body.decode()
    drawn = resvg_py.svg_to_bytes(svg_string=text, background="#ffffff")
    assert read(bytes(drawn)).payload == data.encode()


def test_the_ids_of_gradients_do_not_clash_in_one_document():
    style = replace(SVG, gradient=Gradient("linear", "#8b0000"))
    other = replace(SVG, gradient=Gradient("radial", "#8b0000"))
    files = [
        render(symbol, each).body for symbol in SYMBOLS[:2] for each in (style, other)
    ]
    found = {re.search(rb'id="(\w+)"', file)[1] for file in files}
    assert len(found) == len(files)
    assert render(SYMBOLS[0], style).body == files[0]


def test_a_logo_is_named_for_new_and_old_programs():
    symbol, size = place("https://example.com", "M", None)
    root, _ = elements(render(symbol, replace(SVG, logo=letter(), logo_size=size)))
    image = root[-1].attrib
    assert image["href"] == image["{http://www.w3.org/1999/xlink}href"]


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda s: f"version {s.version}")
def test_an_svg_is_the_same_picture_as_the_png(symbol):
    vector = rasterise(render(symbol, SVG).body, 3)
    png = render(symbol, replace(SVG, format="png", module_size=3))
    with Raster.open(BytesIO(png.body)) as file:
        assert ImageChops.difference(vector, file.convert("RGB")).getbbox() is None


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_dark_and_light_where_the_modules_are(shape):
    symbol = SYMBOLS[2]
    scale = 8
    found = picture(render(symbol, replace(SVG, shape=shape)).body)
    png = picture(render(symbol, replace(SVG, shape=shape, format="png")).body)
    for row, text in enumerate(symbol.rows):
        for column, module in enumerate(text):
            x, y = column + SVG.border, row + SVG.border
            vector = found.getpixel((x * scale + 4, y * scale + 4))
            assert vector == png.getpixel((x * 10 + 5, y * 10 + 5))
            assert (vector < 128) == (module == "1")


@pytest.mark.parametrize("shape", sorted({*SHAPES} - {"square"}))
def test_finder_eyes_are_whole_squares(shape):
    path = elements(render(SYMBOLS[0], replace(SVG, shape=shape)))[0][-1].get("d")
    squares = re.findall(r"M(\d+) (\d+)h1v1h-1z", path)
    # 24 modules of the ring and 9 of the middle, three times.
    assert len(squares) == 3 * (24 + 9)


@pytest.mark.parametrize(
    ("gradient", "name", "place"),
    [
        (
            "linear",
            "linearGradient",
            {"x1": "0", "y1": "-4", "x2": "0", "y2": "25"},
        ),
        ("radial", "radialGradient", {"cx": "10.5", "cy": "10.5", "r": "20.51"}),
    ],
)
def test_a_gradient_runs_from_dark_to_its_other_colour(gradient, name, place):
    style = replace(SVG, gradient=Gradient(gradient, "#8b0000"))
    root, names = elements(render(SYMBOLS[0], style))
    assert names == ["defs", "path", "path"]
    (drawn,) = root[0]
    assert drawn.tag == NAMESPACE + name
    assert {key: drawn.get(key) for key in place} == place
    assert drawn.get("gradientUnits") == "userSpaceOnUse"
    assert [stop.get("offset") for stop in drawn] == ["0", "1"]
    assert [stop.get("stop-color") for stop in drawn] == ["#1a3c8f", "#8b0000"]
    assert root[-1].get("fill") == f"url(#{drawn.get('id')})"


def test_an_svg_without_a_viewbox_is_refused():
    with pytest.raises(ValueError, match="viewBox"):
        rasterise(b"<svg></svg>", 8)


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_input_produces_equal_bytes(shape):
    style = replace(SVG, shape=shape, gradient=Gradient("radial", "#8b0000"))
    assert render(SYMBOLS[1], style) == render(SYMBOLS[1], style)
