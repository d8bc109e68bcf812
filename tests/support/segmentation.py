"""The least bits of a text, one character after the other: slow, and easily checked."""

import random

from qr_service.engine.segmentation import ALPHANUMERIC, BYTE, NUMERIC, segmentation

COUNT_BITS = {  # ISO/IEC 18004:2015, table 3: numeric, alphanumeric, byte
    range(1, 10): (10, 9, 8),
    range(10, 27): (12, 11, 16),
    range(27, 41): (14, 13, 16),
}
CAPITALS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
RATES = (20, 33, 48)  # sixths of a bit for a character


def least_bits(text, version):
    """Return the bits of the best segmentation: every mode is tried everywhere."""
    (count_bits,) = (bits for among, bits in COUNT_BITS.items() if version in among)
    headers = [6 * (4 + bits) for bits in count_bits]
    never = 10**9
    costs = None  # of the text so far, if its last character is in each mode
    for byte in text:
        allowed = (byte in b"0123456789", byte in CAPITALS, True)
        # A segment that ends is rounded up to whole bits.
        ended = 0 if costs is None else min(whole(cost) for cost in costs)
        before = costs or [never] * 3
        costs = [
            min(before[mode], ended + headers[mode]) + RATES[mode]
            if allowed[mode]
            else never
            for mode in range(3)
        ]
    return min(whole(cost) for cost in costs) // 6


def whole(cost):
    """Return a cost in sixths of a bit, rounded up to whole bits."""
    return -(-cost // 6) * 6


CHARACTERS = {
    NUMERIC: set(b"0123456789"),
    ALPHANUMERIC: set(CAPITALS),
    BYTE: set(range(256)),
}


def check(text, versions):
    segments = segmentation(text, versions)
    parts = []
    for mode, start, end in segments:
        assert start < end
        assert set(text[start:end]) <= CHARACTERS[mode]
        parts.append(text[start:end])
    assert b"".join(parts) == text
    assert versions.bits(segments) == least_bits(text, versions.first)


def runs(seed):
    """Return a text of runs, as long as where another mode begins to be worth it."""
    rng = random.Random(seed)
    kinds = (b"0123456789", b"ABCXYZ $%*+-./:", b"abc?\xc3\xa9")
    lengths = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 22)
    return b"".join(
        bytes(rng.choices(rng.choice(kinds), k=rng.choice(lengths)))
        for _ in range(rng.randint(1, 8))
    )
