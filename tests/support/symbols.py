"""Symbols drawn by the qrcode package, and random texts for them."""

import random

import qrcode
from qr_service.engine.symbol import LEVELS

from tests.support.iso18004 import INDICATOR


def stock_rows(data, symbol):
    """Return the rows of the same symbol from the qrcode package's public API."""
    code = qrcode.QRCode(
        version=symbol.version, error_correction=INDICATOR[symbol.level], border=0
    )
    code.add_data(data)
    code.make(fit=False)
    return tuple("".join("01"[bool(m)] for m in row) for row in code.get_matrix())


def random_text(seed):
    """Return a short text of digits, capitals, letters and others, and a level."""
    rng = random.Random(seed)
    alphabets = ["0123456789", "ABCXYZ $%*+-./:", "abcdefgh", "日本é👍"]
    runs = (rng.choices(rng.choice(alphabets), k=rng.randint(1, 13)) for _ in range(3))
    return "".join("".join(run) for run in runs), rng.choice(LEVELS)
