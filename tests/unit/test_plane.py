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


@pytest.mark.parametrize(("letters", "seed"), [("ax", 3), ("ax", 5), ("abc", 8)])
def test_of_the_largest_symbols_only_four_masks_are_tried(letters, seed):
    symbol, masks = all_masks("".join(random.Random(seed).choices(letters, k=700)))
    assert symbol.version >= 20
    tried = sorted(range(8), key=lambda mask: masks[mask][0])[:4]
    assert symbol.mask == min(tried, key=lambda mask: slow_harm(masks[mask][1]))
    assert symbol.mask == tried[3], "the first three do more harm"


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


def symbol_with(size, *crosses):
    """Return a light symbol with crosses: top row, left column, bars across and down.

    As in a finder pattern, the row is that of the whole core.
    """
    cells = [["0"] * size for _ in range(size)]
    for top, left, across, down in crosses:
        column = left + sum(across[:2]) + across[2] // 2
        core = range(top + sum(down[:2]), top + sum(down[:3]))
        for start, length in ends(top, down):
            for row in range(start, start + length):
                cells[row][column] = "1"
        for row in core:
            for start, length in ends(left, across):
                cells[row][start : start + length] = "1" * length
    return ["".join(row) for row in cells]


def ends(start, bars):
    """Return start and length of the three dark runs."""
    first, before, core, after, last = bars
    second = start + first + before
    return (start, first), (second, core), (second + core + after, last)


FINDER = (1, 1, 3, 1, 1)


def test_the_finder_patterns_themselves_do_no_harm():
    for top, left in ((0, 0), (0, 14), (14, 0)):
        rows = symbol_with(21, (top, left, FINDER, FINDER))
        assert decoys.harm(plane_of(rows), 21) == 0
    rows = symbol_with(21, (7, 7, FINDER, FINDER))
    assert zxing_widths(rows) == [7]
    assert opencv_decoys(rows) == [(10, 10)]
    assert decoys.harm(plane_of(rows), 21) == 3


def test_rows_that_zxing_skips_in_a_large_symbol_have_no_decoy_of_its():
    def harms(size, tops):
        crosses = ((top, 15, FINDER, FINDER) for top in tops)
        return [decoys.harm(plane_of(symbol_with(size, c)), size) for c in crosses]

    # The core's three rows begin two below the top.
    assert harms(57, range(50)) == [3] + [1] * 19 + [3] * 30
    assert harms(41, range(8, 34)) == [3] * 26


def test_the_rows_after_the_skipped_ones_are_those_of_a_core_however_high():
    high = (1, 2, 8, 1, 1)
    wide = (45, 10, (1, 2, 5, 2, 2), (1, 1, 5, 1, 1))
    for top in range(8, 45):
        rows = symbol_with(57, (top, 30, (1, 1, 6, 1, 1), high), wide)
        assert decoys.harm(plane_of(rows), 57) == slow_harm(rows)
        assert slow_harm(rows) == (2 if top + 11 > 24 else 0)


@pytest.mark.parametrize(
    ("widths", "harmful"),
    [
        ([7], [7]),
        ([9], [9]),
        ([5], []),
        ([10], []),
        ([5, 6], [6]),
        ([6, 11], [6]),
        ([11, 12], [11]),
    ],
)
def test_zxing_discards_what_is_off_the_mean_width(widths, harmful):
    assert kept(widths) == harmful
    assert decoys._kept_by_zxing(widths) == len(harmful)


def test_two_wide_decoys_do_harm_together():
    one = (8, 8, (1, 1, 5, 1, 2), (1, 1, 5, 1, 1))
    two = (20, 20, (1, 1, 8, 2, 1), (1, 1, 6, 1, 1))
    assert decoys.harm(plane_of(symbol_with(41, one)), 41) == 0
    assert decoys.harm(plane_of(symbol_with(41, two)), 41) == 0
    rows = symbol_with(41, one, two)
    assert zxing_widths(rows) == [10, 13]
    assert decoys.harm(plane_of(rows), 41) == 2


@pytest.mark.parametrize("across", [FINDER, (2, 2, 6, 2, 2), (3, 3, 9, 3, 3)])
@pytest.mark.parametrize("down", [FINDER, (2, 2, 6, 2, 2)])
def test_for_opencv_rows_may_have_any_size_and_columns_two(across, down):
    rows = symbol_with(41, (10, 10, across, down))
    middle = 10 + sum(down[:2]) + down[2] // 2, 10 + sum(across[:2]) + across[2] // 2
    assert opencv_decoys(rows) == [middle]
    assert decoys.harm(plane_of(rows), 41) == slow_harm(rows)
    assert decoys.harm(plane_of(rows), 41) % 2
