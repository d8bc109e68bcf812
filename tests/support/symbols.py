"""Symbols drawn by the qrcode package, and random texts for them."""

import random
from unittest.mock import patch

import qrcode
from qr_service.engine.segmentation import RANGES, segmentation
from qr_service.engine.symbol import LEVELS
from qrcode import util
from qrcode.util import QRData

from tests.support.iso18004 import INDICATOR


class Utf8(QRData):
    """The designator of UTF-8 (clause 7.4.2): indicator 7, then 26 in eight bits."""

    BITS = 8

    def __init__(self):
        self.mode = 7

    def __len__(self):
        return 26

    def write(self, buffer):
        pass


def stock_rows(data, symbol, *, eci="auto"):
    """Return the rows of the same symbol from the qrcode package.

    It has our segments, since the package's own are not the fewest bits, and our mask.
    """
    code = qrcode.QRCode(
        version=symbol.version,
        error_correction=INDICATOR[symbol.level],
        border=0,
        mask_pattern=symbol.mask,
    )
    text = data.encode()
    (versions,) = (r for r in RANGES if r.first <= symbol.version <= r.last)
    if eci == "auto" and not data.isascii():
        code.add_data(Utf8())
    for mode, start, end in segmentation(text, versions):
        code.add_data(QRData(text[start:end], mode))
    original = util.length_in_bits

    def length_in_bits(mode, version):
        return Utf8.BITS if mode == Utf8().mode else original(mode, version)

    with patch.object(util, "length_in_bits", length_in_bits):
        code.make(fit=False)
    return tuple("".join("01"[bool(m)] for m in row) for row in code.get_matrix())


def random_text(seed):
    """Return a short text of digits, capitals, letters and others, and a level."""
    rng = random.Random(seed)
    alphabets = ["0123456789", "ABCXYZ $%*+-./:", "abcdefgh", "日本é👍"]
    runs = (rng.choices(rng.choice(alphabets), k=rng.randint(1, 13)) for _ in range(3))
    return "".join("".join(run) for run in runs), rng.choice(LEVELS)
