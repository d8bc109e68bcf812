"""The engine's promises in full; `make test` checks samples of them."""

from itertools import product

from qr_service.engine.segmentation import RANGES
from qr_service.engine.style import BLENDED_FORMATS, FORMATS, SHAPES, Gradient, Style
from qr_service.engine.symbol import LEVELS, capacity, encode

from tests.support import segmentation
from tests.support.damage import equal_verdict
from tests.support.logos import random_request
from tests.support.proofs import check, proven
from tests.support.scanners import needs_zbar
from tests.support.symbols import random_text, stock_rows


def test_5000_random_texts_match_the_standard_package(measured):
    for seed in range(5000):
        data, level = random_text(seed)
        symbol = encode(data, level)
        assert symbol.rows == stock_rows(data, symbol), seed
    measured("5,000 random texts: 0 differences from the standard package")


def test_the_segments_of_100000_texts_are_the_fewest_bits(measured):
    for seed in range(100_000):
        segmentation.check(segmentation.runs(seed), RANGES[seed % 3])
    measured("100,000 texts of runs: 0 with more bits than the slow program finds")


def test_the_smaller_picture_changes_none_of_1500_verdicts(measured):
    accepted = sum(equal_verdict(seed) for seed in range(1000, 2500))
    measured(
        f"1,500 damaged pictures: {accepted} accepted, 0 differences between the"
        " smaller and the whole picture"
    )


@needs_zbar
def test_every_style_is_read_at_every_level_of_many_versions(measured):
    """Read each image with zbar; zxing-cpp has read every image that is accepted."""
    count = 0
    for version, level in product((1, 2, 6, 7, 10, 14, 21, 27, 32, 40), LEVELS):
        most = (capacity(version, level) - 4 - (8 if version < 10 else 16)) // 8
        data = ("abcdefghij" * 300)[:most]
        for form, shape, module_size in product(FORMATS, SHAPES, (2, 4, 10)):
            if (form != "png" and module_size != 4) or (
                module_size == 2 and shape != "square"
            ):
                continue
            if version > 20 and module_size == 10:
                continue
            gradients = (None, Gradient("radial", "#8b0000"))
            for gradient in gradients if form in BLENDED_FORMATS else (None,):
                style = Style(
                    format=form,
                    shape=shape,
                    module_size=module_size,
                    dark="#10104a",
                    light="transparent",
                    border=2,
                    gradient=gradient,
                )
                assert proven(data, style, level).symbol.version == version
                count += 1
    measured(f"{count} styles, levels and versions: all read by two scanners")


@needs_zbar
def test_1000_random_logos_are_read_or_refused_with_a_size_that_fits(measured):
    failures, outcomes = [], []
    for seed in range(1000):
        try:
            outcomes.append(check(random_request(seed)))
        except AssertionError:
            failures.append(seed)
    measured(
        f"1,000 logos: {outcomes.count(True)} read by two scanners, "
        f"{outcomes.count(False)} refused with a size that was read, "
        f"{outcomes.count(None)} texts too long, {len(failures)} failures"
    )
    assert not failures
