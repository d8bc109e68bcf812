"""Logos that still scan, by arithmetic.

A logo hides modules; each belongs to a codeword, each codeword to an error correction
block, and the symbol is lost when any one block is. A central logo is not spread evenly
over the blocks, so that "level H restores 30 %" says nothing: the worst block decides.
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
MAX_SIDE = 512  # pixels that are kept; no code shows a logo larger
# Sizes are the logo's side as a fraction of the symbol's.
LEAST_SIZE = 0.05
MOST_SIZE = 0.5
DEFAULT_SIZE = 0.2  # or what fits
LEAST_DEFAULT = 5  # modules; rather than a smaller logo the symbol grows
MORE_VERSIONS = 10  # that the symbol may grow by to make room

# Share of the errors a block can correct that the logo may use; dirt, creases and bad
# light get the rest.
BUDGET = 0.4
# Modules that no logo comes near: finder eyes, format information, timing patterns.
_KEPT = 9

_DATA_URL = re.compile(r"data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/]+={0,2})")


def decode(url: str) -> bytes:
    """A PNG or JPEG given as a data URL, as a file of its pixels alone.

    Its size in bytes and in pixels is checked before any pixel is decoded; metadata and
    whatever else it carried is left behind. Raises BadField.
    """
    # As base64 the largest file is a third longer; the rest is the URL's head.
    match = _DATA_URL.fullmatch(url) if len(url) < 2 * MAX_BYTES else None
    if not match:
        raise BadField(
            "logo", url[:32], "a data URL, data:image/png;base64,... or jpeg"
        )
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
    """The picture written anew, at most MAX_SIDE pixels wide and high."""
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
    """A symbol with room for a logo, and the logo's size, both as small as needed.

    `size` is the side as a fraction of the symbol's, None for a default that fits.
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
            "No logo fits into a code of this much data; shorten it.",
            field="logo",
            allowed="a logo with shorter data",
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
    """Modules on a side of the square that a logo of `size` gets: odd, thus centred."""
    least = size * side - 1e-9
    return max(1, 2 * -int(-(least - 1) // 2) + 1)


def make_room(symbol: Symbol, style: Style) -> tuple[tuple[str, ...], int]:
    """Return the rows with light modules where the logo goes, and the logo's side.

    The side is in modules, 0 without a logo; half a module of light is left around it.
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
    """The largest odd number of modules that may be hidden, on a side; 0 for none.

    It is none in the versions with an alignment pattern in the middle: some readers
    look for each of them, and what they take for it in a logo bends their grid.
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
    """Whether the middle touches one of the 5 x 5 alignment patterns (annex E)."""
    start = (17 + 4 * version - cleared) // 2
    near = range(start - 2, start + cleared + 2)
    return any(centre in near for centre in util.pattern_position(version))


def damage(version: int, level: Level, cleared: int) -> float:
    """Codewords hidden in the worst block, as a share of what that block corrects."""
    numbers = codeword_numbers(version)
    start = (len(numbers) - cleared) // 2
    middle = slice(start, start + cleared)
    hidden = {number for row in numbers[middle] for number in row[middle]}
    blocks, correctable = codeword_blocks(version, level)
    # Function modules and remainder bits belong to no codeword: their number is -1.
    worst = Counter(blocks[number] for number in hidden if number >= 0)
    return max(worst.values(), default=0) / correctable


def fitted(file: bytes, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """The logo as RGBA, scaled into a square of `side` pixels, and its corner there."""
    with Image.open(BytesIO(file)) as picture:
        logo = picture.convert("RGBA")
    scale = side / max(logo.size)
    width, height = (max(1, round(length * scale)) for length in logo.size)
    logo = logo.resize((width, height), Image.Resampling.LANCZOS)
    return logo, ((side - width) // 2, (side - height) // 2)
