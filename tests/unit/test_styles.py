"""Readers read every image that the service accepts, in every style."""

from itertools import product

import pytest
from qr_service.engine.style import (
    BLENDED_FORMATS,
    FORMATS,
    GRADIENT_TYPES,
    SHAPES,
    Gradient,
    Style,
)
from qr_service.engine.symbol import LEVELS
from qr_service.proving import prove

from tests.support.corpus import CORPUS, EXACT
from tests.support.proofs import proven
from tests.support.requests import request
from tests.support.scanners import needs_zbar, opencv_reads

GRADIENTS = (
    None,
    *(
        Gradient(kind, colour)
        for kind, colour in zip(GRADIENT_TYPES, ("#8b0000", "#00407a"), strict=True)
    ),
)
INKS = {
    "black": ("#000000", None),
    "grey": ("#7e7e7e", None),
    "linear": ("#000000", Gradient("linear", "#7e7e7e")),
    "radial": ("#7e7e7e", Gradient("radial", "#000000")),
}
LIGHTS = ("#ffffff", "#fff8e7", "transparent")
LENGTHS = (1, 20, 60, 130, 400)  # versions 1 to 14 at level M, 2 to 20 at level H


def grid():
    """Yield all combinations of looks in two sizes, and plain styles in small sizes."""
    for form, shape, gradient, light in product(FORMATS, SHAPES, GRADIENTS, LIGHTS):
        if gradient and form not in BLENDED_FORMATS:
            continue
        for module_size, border in ((4, 2), (7, 4)):
            yield Style(
                format=form,
                shape=shape,
                module_size=module_size,
                border=border,
                dark="#10104a",
                light=light,
                gradient=gradient,
            )
    for module_size, border, light in product((1, 2, 3), (2, 4), LIGHTS):
        yield Style(module_size=module_size, border=border, light=light)


STYLES = list(grid())


def named(style):
    gradient = style.gradient.type if style.gradient else "plain"
    size = f"{style.module_size}+{style.border}"
    return f"{style.format}-{style.shape}-{gradient}-{style.light}-{size}"


@needs_zbar
@pytest.mark.parametrize("style", STYLES, ids=named)
def test_every_style_is_read_at_every_level(style):
    for level, length in zip(LEVELS, LENGTHS, strict=False):
        proven("a" * length, style, level)


@needs_zbar
@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("module_size", [4, 5, 6, 8, 10, 11, 12, 16])
@pytest.mark.parametrize("shape", SHAPES)
def test_opencv_reads_every_shape_in_every_size_and_ink(shape, module_size, ink):
    """Up to the brightest grey; docs/readers.md has the same grid for more readers."""
    dark, gradient = INKS[ink]
    style = Style(shape=shape, module_size=module_size, dark=dark, gradient=gradient)
    for data in ("https://example.com/menu", CORPUS["sepa"]):
        assert opencv_reads(proven(data, style).image.body) == data.encode()


@pytest.mark.parametrize("style", STYLES, ids=named)
def test_a_clean_picture_needs_hardly_any_error_correction(style):
    for data in ("0ffj7", "a", "x" * 100):
        assert prove(request(data, "L", style)).margin >= 0.8


@needs_zbar
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", CORPUS)
def test_every_kind_of_text_is_read_in_every_shape(name, form, shape):
    proven(CORPUS[name], Style(format=form, shape=shape, module_size=5))


@needs_zbar
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EXACT)
def test_a_full_symbol_is_read(name, form):
    data, level, version = EXACT[name]
    proof = proven(data, Style(format=form, module_size=4), level)
    assert (proof.symbol.version, proof.symbol.level) == (version, level)


def test_a_response_describes_the_code():
    proof = prove(request("x" * 20, "M", Style(format="svg")))
    assert proof.as_dict() == {
        "version": 2,
        "error_correction": "Q",
        "width": (25 + 8) * 10,
        "format": "svg",
        "margin": 1.0,
    }
