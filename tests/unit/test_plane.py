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
from tests.support.decoys import slow_decoys

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
def test_the_mask_is_the_first_by_penalty_that_has_no_decoy(seed):
    data = "".join(random.Random(seed).choices("abcxyz&?_", k=10 + 8 * seed))
    symbol, masks = all_masks(data)
    by_penalty = sorted(range(8), key=lambda mask: masks[mask][0])
    assert symbol.version < 20
    expected = min(by_penalty, key=lambda mask: len(slow_decoys(masks[mask][1])))
    assert symbol.mask == expected
    assert symbol.rows == tuple(masks[expected][1])


@pytest.mark.parametrize("letters", ["ax", "bx", "by", "abc"])
def test_of_the_largest_symbols_only_three_masks_are_searched(letters):
    symbol, masks = all_masks("".join(random.Random(1).choices(letters, k=700)))
    assert symbol.version >= 20
    tried = sorted(range(8), key=lambda mask: masks[mask][0])[:3]
    expected = min(tried, key=lambda mask: len(slow_decoys(masks[mask][1])))
    assert symbol.mask == expected


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([21, 25, 33]), st.floats(0.3, 0.7), st.integers(0, 2**32))
@example(33, 0.625, 1436)  # a row's middle is where a finder pattern would be
def test_decoys_are_found_as_line_by_line(size, share, seed):
    rng = random.Random(seed)
    rows = [
        "".join("01"[rng.random() < share] for _ in range(size)) for _ in range(size)
    ]
    plane = int("0" + "0".join(rows), 2)
    expected = len(slow_decoys(rows))
    for most in (1, 2, 999):
        assert decoys.decoys(plane, size, most) == min(most, expected)


def test_the_finder_patterns_themselves_are_no_decoys():
    symbol = encode("https://example.com")
    assert not slow_decoys(symbol.rows)
    eyes = [row[:8] + "0" * (symbol.size - 8) for row in symbol.rows[:8]]
    rows = eyes + ["0" * symbol.size] * (symbol.size - 8)
    assert not slow_decoys(rows)
    shifted = ["0" * symbol.size] * 5 + rows[:-5]
    assert slow_decoys(shifted)


def test_a_column_of_double_size_is_a_decoy_for_opencv():
    dark = {(row, 16) for row in (8, 9, *range(12, 17), 19, 20)}
    dark |= {(14, column) for column in (13, 15, 16, 17, 19)}
    rows = ["".join("01"[(i, j) in dark] for j in range(33)) for i in range(33)]
    assert slow_decoys(rows) == {(14, 16)}
    assert decoys.decoys(int("0" + "0".join(rows), 2), 33, 9) == 1
