"""Placement, masks and penalties, compared with the standard module by module."""

import random

import pytest
import qrcode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from qr_service.engine import decoys, plane
from qr_service.engine.symbol import LEVELS, encode
from qrcode import util
from qrcode.util import QRData

from tests.support import iso18004
from tests.support.decoys import kept, opencv_decoys, slow_harm, zxing_widths

VERSIONS = (1, 2, 6, 7, 13, 14, 21, 27, 40)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_codeword_has_the_eight_modules_of_the_standard(version):
    numbers = plane.codeword_numbers(version)
    placed = iso18004.codewords(version)
    expected = [[-1] * len(numbers) for _ in numbers]
    for number, cells in enumerate(placed):
        for row, column in cells:
            expected[row][column] = number
    assert numbers == tuple(tuple(row) for row in expected)


@pytest.mark.parametrize("mask", range(8))
def test_a_mask_inverts_the_data_modules_of_its_condition(mask):
    """The expected conditions of table 10 are those of the qrcode package."""
    version, codewords = 7, bytes(196)
    _, rows = plane.draw(codewords, version, 0, mask)
    inverts = util.mask_func(mask)
    for row, column in iso18004.walk(version):
        assert rows[row][column] == "01"[inverts(row, column)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.floats(0.02, 0.98), st.integers(0, 2**32))
def test_the_penalty_is_that_of_the_standard(version, share, seed):
    # It contains runs of equal modules, so every rule has something to count.
    rng = random.Random(seed)
    size = 17 + 4 * version
    text = ""
    while len(text) < size**2:
        text += rng.choice(("1011101", "0000", "1" if rng.random() < share else "0"))
    rows = [text[start : start + size] for start in range(0, size**2, size)]
    value = int("0" + "0".join(rows), 2)
    geometry = plane._geometry(version)
    assert plane._penalty(value, geometry) == iso18004.penalty(rows)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("version", [1, 7, 40])
def test_both_copies_of_the_format_information_hold_level_and_mask(version, level):
    """The test reads them as a scanner does (clause 7.9.1, figure 25)."""
    indicator = iso18004.INDICATOR[level]
    codewords = random.Random(version).randbytes(codeword_count(version))
    for mask in range(8):
        _, rows = plane.draw(codewords, version, indicator, mask)
        size = len(rows)
        row8, column8 = rows[8], "".join(row[8] for row in rows)
        beside = row8[:6] + row8[7:9] + column8[7] + column8[5::-1]
        split = column8[: size - 8 : -1] + row8[size - 8 :]
        assert beside == split == f"{util.BCH_type_info(indicator << 3 | mask):015b}"
        assert rows[size - 8][8] == "1", "the module that is always dark"


def codeword_count(version):
    return len(iso18004.codewords(version))


def all_masks(data):
    """Return symbol, and for each mask its penalty and its finished rows."""
    symbol = encode(data)
    masks = []
    for mask in range(8):
        version, level = symbol.version, iso18004.INDICATOR[symbol.level]
        code = qrcode.QRCode(version=version, error_correction=level, border=0)
        code.add_data(QRData(data.encode(), util.MODE_8BIT_BYTE))
        code.makeImpl(True, mask)  # format and version information left light
        bare = ["".join("01"[bool(m)] for m in row) for row in code.modules]
        code.makeImpl(False, mask)
        rows = ["".join("01"[bool(m)] for m in row) for row in code.modules]
        masks.append((iso18004.penalty(bare), rows))
    return symbol, masks


@pytest.mark.parametrize("seed", range(40))
def test_the_mask_is_the_first_by_penalty_that_misleads_no_reader(seed):
    data = "".join(random.Random(seed).choices("abcxyz&?_", k=10 + 8 * seed))
    symbol, masks = all_masks(data)
    by_penalty = sorted(range(8), key=lambda mask: masks[mask][0])
    assert symbol.version < 20
    expected = min(by_penalty, key=lambda mask: slow_harm(masks[mask][1]))
    assert symbol.mask == expected
    assert symbol.rows == tuple(masks[expected][1])


@pytest.mark.parametrize("letters", ["ax", "bx", "by", "abc"])
def test_of_the_largest_symbols_only_four_masks_are_tried(letters):
    symbol, masks = all_masks("".join(random.Random(1).choices(letters, k=700)))
    assert symbol.version >= 20
    tried = sorted(range(8), key=lambda mask: masks[mask][0])[:4]
    expected = min(tried, key=lambda mask: slow_harm(masks[mask][1]))
    assert symbol.mask == expected


def plane_of(rows):
    return int("0" + "0".join(rows), 2)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([21, 25, 33, 41, 45, 57]),
    st.floats(0.3, 0.7),
    st.integers(0, 2**32),
)
@example(33, 0.625, 1436)  # a row's middle is where a finder pattern would be
def test_harm_is_found_as_module_by_module(size, share, seed):
    rng = random.Random(seed)
    rows = [
        "".join("01"[rng.random() < share] for _ in range(size)) for _ in range(size)
    ]
    assert decoys.harm(plane_of(rows), size) == slow_harm(rows)


def with_finder_pattern(size, top, left):
    """Return a light symbol with one more finder pattern, of 7 by 7 modules."""
    rows = ["0" * size for _ in range(size)]
    for row, dark in enumerate(("1111111", "1000001", *["1011101"] * 3, "1000001")):
        rows[top + row] = "0" * left + dark + "0" * (size - left - 7)
    rows[top + 6] = rows[top]
    return rows


def test_the_finder_patterns_themselves_do_no_harm():
    for top, left in ((0, 0), (0, 14), (14, 0)):
        assert decoys.harm(plane_of(with_finder_pattern(21, top, left)), 21) == 0
    rows = with_finder_pattern(21, 7, 7)
    assert zxing_widths(rows) == [7]
    assert opencv_decoys(rows) == [(10, 10)]
    assert decoys.harm(plane_of(rows), 21) == 3


def test_rows_that_zxing_skips_in_a_large_symbol_have_no_decoy_of_its():
    harms = [
        decoys.harm(plane_of(with_finder_pattern(57, top, 25)), 57)
        for top in range(8, 50)
    ]
    # The core's three rows begin two below the top; 24 is the first row that is read.
    assert harms == [1] * 12 + [3] * 30


@pytest.mark.parametrize(
    ("widths", "harmful"),
    [([7], [7]), ([5], []), ([10], []), ([6, 10], [6]), ([10, 12], [10])],
)
def test_zxing_discards_what_is_off_the_mean_width(widths, harmful):
    assert kept(widths) == harmful
    assert decoys._kept_by_zxing(widths) == len(harmful)


def test_a_column_of_double_size_is_a_decoy_for_opencv():
    dark = {(row, 16) for row in (6, 7, *range(10, 16), 18, 19)}
    dark |= {(13, column) for column in (13, 15, 16, 17, 19)}
    rows = ["".join("01"[(i, j) in dark] for j in range(33)) for i in range(33)]
    assert opencv_decoys(rows) == [(13, 16)]
    assert decoys.harm(plane_of(rows), 33) == 1
