"""Symbols by the qrcode package, and random texts for them."""

import random

import qrcode
from qr_service.engine.symbol import LEVELS

INDICATOR = {"L": 1, "M": 0, "Q": 3, "H": 2}


def stock_rows(data, symbol):
    """The same symbol by the qrcode package's own public way."""
    code = qrcode.QRCode(
        version=symbol.version, error_correction=INDICATOR[symbol.level], border=0
    )
    code.add_data(data)
    code.make(fit=False)
    return tuple("".join("01"[bool(m)] for m in row) for row in code.get_matrix())


def random_text(seed):
    """A short text, digits, capitals, letters and others in turn, and a level."""
    rng = random.Random(seed)
    alphabets = ["0123456789", "ABCXYZ $%*+-./:", "abcdefgh", "日本é👍"]
    runs = (rng.choices(rng.choice(alphabets), k=rng.randint(1, 13)) for _ in range(3))
    return "".join("".join(run) for run in runs), rng.choice(LEVELS)
