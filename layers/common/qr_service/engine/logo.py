"""Logo sizes at which a code still scans.

A logo hides modules. Each module belongs to a codeword, and each codeword to an error
correction block; one block that cannot be corrected makes the symbol unreadable. A
central logo does not hit all blocks equally, so "level H restores 30 %" does not help:
the worst block decides.
"""

import base64
import binascii
import re
from collections import Counter
from functools import cache
from io import BytesIO
from itertools import islice

from PIL import Image
from qrcode import util

from qr_service.engine.plane import codeword_numbers
from qr_service.engine.style import Style
from qr_service.engine.symbol import Level, Symbol, choices, codeword_blocks, encode
from qr_service.errors import BadField, Unscannable

MAX_BYTES = 64 * 1024
MAX_PIXELS = 1_000_000
MAX_SIDE = 512  # pixels; larger logos are scaled down, no code shows them larger
# Sizes are the logo's side as a fraction of the symbol's.
LEAST_SIZE = 0.05
MOST_SIZE = 0.5
DEFAULT_SIZE = 0.2  # or less, if 0.2 does not fit
LEAST_DEFAULT = 5  # modules; the symbol grows rather than show a smaller logo
MORE_VERSIONS = 10  # by which the symbol may grow to make room

# Share of a block's correctable errors that the logo may use; the rest is for dirt,
# creases and bad light.
BUDGET = 0.4
# Modules from each edge that no logo may reach: finder eyes, format information, timing
# patterns.
_KEPT = 9

_DATA_URL = re.compile(r"data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/]+={0,2})")


def decode(url: str) -> bytes:
    """Return the PNG or JPEG of a data URL, encoded anew from its pixels alone.

    Its size in bytes and in pixels is checked before any pixel is decoded. Metadata and
    all other content are dropped. Raises BadField.
    """
    # As base64 the largest file is a third longer; this leaves room for the URL's head.
    match = _DATA_URL.fullmatch(url) if len(url) < 2 * MAX_BYTES else None
    if not match:
        allowed = "a data URL, data:image/png;base64,... or jpeg"
        raise BadField("logo", url, allowed)
    try:
        file = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise BadField("logo", "invalid base64", "valid base64") from None
    if len(file) > MAX_BYTES:
        raise BadField("logo", f"{len(file)} bytes", f"at most {MAX_BYTES} bytes")
    try:
        with Image.open(BytesIO(file), formats=[match[1][6:].upper()]) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                pixels = f"{width} x {height} pixels"
                raise BadField("logo", pixels, f"at most {MAX_PIXELS} pixels")
            return _pixels_alone(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise BadField("logo", "a damaged file", f"a readable {match[1]}") from None


def _pixels_alone(picture: Image.Image) -> bytes:
    """Return the picture encoded anew, at most MAX_SIDE pixels wide and high."""
    file = BytesIO()
    if picture.format == "PNG":
        result = picture.convert("RGBA")
        result.thumbnail((MAX_SIDE, MAX_SIDE))
        result.save(file, "PNG")
    else:
        result = picture.convert("RGB")
        result.thumbnail((MAX_SIDE, MAX_SIDE))
        result.save(file, "JPEG", quality=90)
    return file.getvalue()


def place(data: str, level: Level, size: float | None) -> tuple[Symbol, float]:
    """Return the smallest symbol with room for a logo, and the logo's size.

    `size` is the side as a fraction of the symbol's; None selects a default that fits.
    Raises DataTooLong, and Unscannable with the largest size that would fit.
    """
    largest = 0.0
    for version, reached in islice(choices(data, level), MORE_VERSIONS + 1):
        side = 17 + 4 * version
        room = largest_clearing(version, reached)
        if size is not None and clearing(side, size) <= room:
            return encode(data, level, version), size
        if size is None and room >= LEAST_DEFAULT:
            fitting = min(room, clearing(side, DEFAULT_SIZE))
            return encode(data, level, version), fitting / side
        largest = max(largest, room / side)
    if largest < LEAST_SIZE:
        raise Unscannable(
            "No logo fits into a code with this much data; shorten the data.",
            field="logo",
            allowed="shorter data",
        )
    shown = int(largest * 1000) / 1000
    raise Unscannable(
        f"A logo of this size hides more than error correction restores; at most "
        f"{shown} of the symbol's side fits with this data.",
        field="logo_size",
        received=size,
        allowed=shown,
    )


def clearing(side: int, size: float) -> int:
    """Return the side of the square cleared for a logo, in modules: odd, so centred."""
    least = size * side - 1e-9
    return max(1, 2 * -int(-(least - 1) // 2) + 1)


def make_room(symbol: Symbol, style: Style) -> tuple[tuple[str, ...], int]:
    """Return the rows with light modules where the logo goes, and the logo's side.

    The side is in modules, 0 without a logo. A light margin of half a module surrounds
    the logo.
    """
    if not (style.logo and style.logo_size):
        return symbol.rows, 0
    cleared = clearing(symbol.size, style.logo_size)
    start = (symbol.size - cleared) // 2
    end = start + cleared
    light = "0" * cleared
    rows = tuple(
        row[:start] + light + row[end:] if start <= number < end else row
        for number, row in enumerate(symbol.rows)
    )
    return rows, cleared - 1 or 1


@cache
def largest_clearing(version: int, level: Level) -> int:
    """Return the largest odd side, in modules, that a logo may hide; 0 for no logo.

    It is 0 in the versions with an alignment pattern in the middle: some readers search
    for each pattern, and a false match inside the logo distorts their grid.
    """
    side = 17 + 4 * version
    fitting = 0
    for cleared in range(1, side - 2 * _KEPT + 1, 2):
        if _hides_alignment(version, cleared) or (
            damage(version, level, cleared) > BUDGET
        ):
            break
        fitting = cleared
    return fitting


def _hides_alignment(version: int, cleared: int) -> bool:
    """Return whether the middle touches a 5 x 5 alignment pattern (annex E)."""
    start = (17 + 4 * version - cleared) // 2
    near = range(start - 2, start + cleared + 2)
    return any(centre in near for centre in util.pattern_position(version))


def damage(version: int, level: Level, cleared: int) -> float:
    """Return hidden divided by correctable codewords, for the worst block."""
    numbers = codeword_numbers(version)
    start = (len(numbers) - cleared) // 2
    middle = slice(start, start + cleared)
    hidden = {number for row in numbers[middle] for number in row[middle]}
    blocks, correctable = codeword_blocks(version, level)
    # Function modules and remainder bits belong to no codeword: their number is -1.
    worst = Counter(blocks[number] for number in hidden if number >= 0)
    return max(worst.values(), default=0) / correctable


def fitted(file: bytes, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """Return the logo as RGBA, scaled into a square, and its corner there.

    `side` is the side of the square in pixels.
    """
    with Image.open(BytesIO(file)) as picture:
        logo = picture.convert("RGBA")
    scale = side / max(logo.size)
    width, height = (max(1, round(length * scale)) for length in logo.size)
    logo = logo.resize((width, height), Image.Resampling.LANCZOS)
    return logo, ((side - width) // 2, (side - height) // 2)
