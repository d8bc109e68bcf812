"""Error correction, compared with long division over GF(2^8) without tables."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qr_service.engine.reed_solomon import error_correction
from qrcode import base

# Numbers of error correction codewords per block in table 9.
COUNTS = (7, 10, 13, 15, 16, 17, 18, 20, 22, 24, 26, 28, 30)


def times(a, b):
    """Return the product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1 (clause 7.5.2)."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a <<= 1
        a ^= 0x11D if a & 0x100 else 0
        b >>= 1
    return product


def power(exponent):
    result = 1
    for _ in range(exponent):
        result = times(result, 2)
    return result


def long_division(block, count):
    generator = [1]
    for exponent in range(count):
        shifted = [*generator, 0]
        for place, coefficient in enumerate(generator):
            shifted[place + 1] ^= times(coefficient, power(exponent))
        generator = shifted
    rest = [*block, *[0] * count]
    for place in range(len(block)):
        factor = rest[place]
        for offset, coefficient in enumerate(generator):
            rest[place + offset] ^= times(factor, coefficient)
    return bytes(rest[-count:])


def test_the_example_of_the_standard():
    """Annex I: 01234567 as a symbol 1-M."""
    data = bytes.fromhex("10200c566180ec11ec11ec11ec11ec11")
    assert error_correction(data, 10).hex() == "a524d4c1ed36c7872c55"


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.sampled_from(COUNTS))
def test_the_result_is_the_remainder_of_a_long_division(block, count):
    assert error_correction(block, count) == long_division(block, count)


@pytest.mark.parametrize("count", COUNTS)
def test_a_block_with_its_correction_is_zero_at_every_root_of_the_generator(count):
    block = random.Random(count).randbytes(80)
    codewords = block + error_correction(block, count)
    for exponent in range(count):
        value = 0
        for codeword in codewords:
            value = times(value, power(exponent)) ^ codeword
        assert value == 0


def test_the_tested_counts_are_those_that_symbols_need():
    needed = {
        block.total_count - block.data_count
        for version in range(1, 41)
        for level in range(4)
        for block in base.rs_blocks(version, level)
    }
    assert needed == set(COUNTS)
