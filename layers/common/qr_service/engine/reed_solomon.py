"""Reed-Solomon codewords over GF(2^8), by tables (ISO/IEC 18004:2015, clause 7.5.2).

A remainder is one big integer, so each data codeword costs one shift and one XOR, for
any number of error correction codewords. Its lowest byte is the next to be divided.
"""

from functools import cache

from qrcode import base


def error_correction(block: bytes, count: int) -> bytes:
    """Return the `count` error correction codewords of a block of data codewords."""
    table = _multiples(count)
    remainder = 0
    for codeword in block:
        remainder = remainder >> 8 ^ table[remainder & 255 ^ codeword]
    return remainder.to_bytes(count, "little")


@cache
def _multiples(count: int) -> tuple[int, ...]:
    """Return the generator polynomial, without its leading 1, times each field element.

    The generator is the product of (x - 2^i) for i from 0 to count - 1 (annex A).
    """
    generator = [1]
    for power in range(count):
        root = base.EXP_TABLE[power]
        products = [0, *(_multiply(coefficient, root) for coefficient in generator)]
        generator = [a ^ b for a, b in zip([*generator, 0], products, strict=True)]
    multiples = [0]
    for bit in range(8):  # multiplication is linear: the upper half repeats the lower
        product = bytes(_multiply(factor, 1 << bit) for factor in generator[1:])
        value = int.from_bytes(product, "little")
        multiples += [multiple ^ value for multiple in multiples]
    return tuple(multiples)


def _multiply(a: int, b: int) -> int:
    if not a or not b:
        return 0
    return int(base.EXP_TABLE[(base.LOG_TABLE[a] + base.LOG_TABLE[b]) % 255])
