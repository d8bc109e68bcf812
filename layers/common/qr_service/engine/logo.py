"""Logo sizes at which a code still scans.

A logo hides modules. Each module belongs to a codeword, and each codeword to an error
correction block; one block that cannot be corrected makes the symbol unreadable. A
central logo does not hit all blocks equally, so "level H restores 30 %" does not help:
the worst block decides.
"""

import base64
import binascii
import re
import struct
from collections import Counter
from functools import cache, lru_cache, partial
from io import BytesIO
from itertools import islice

from PIL import Image
from qrcode import util

from qr_service.engine.plane import codeword_numbers
from qr_service.engine.style import Style
from qr_service.engine.symbol import (
    Eci,
    Level,
    Symbol,
    choices,
    codeword_blocks,
    encode,
)
from qr_service.errors import BadField, Unscannable

MAX_BYTES = 64 * 1024
MAX_PIXELS = 1_000_000
MAX_SIDE = 512  # pixels; larger logos are scaled down, no code shows them larger
# Sizes are the logo's side as a fraction of the symbol's.
LEAST_SIZE = 0.05
MOST_SIZE = 0.243  # that any version and level has room for
DEFAULT_SIZE = 0.2  # or less, if 0.2 does not fit
LEAST_DEFAULT = 5  # modules; the symbol grows rather than show a smaller logo
MORE_VERSIONS = 10  # by which the symbol may grow to make room

# Share of a block's correctable errors that the logo may use; the rest is for dirt,
# creases and bad light.
BUDGET = 0.4
# Modules from each edge that no logo may reach: finder eyes, format information, timing
# patterns.
_KEPT = 9

_HEAD = re.compile(r"data:image/(png|jpe?g);base64")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ORIENTATION = 0x0112
# How to turn a picture, by its EXIF orientation (Exif 2.32, table 6).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LEAST_ALPHA = 26  # of 255: a logo that is nowhere more opaque cannot be seen
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}  # of PNG; some megabytes in a few bytes


@lru_cache(1)  # all codes of a batch have the same
def decode(url: str) -> bytes:
    """Return the PNG or JPEG of a data URL, encoded anew from its pixels alone.

    Its size in bytes and in pixels is checked before any pixel is decoded. Base64 may
    be wrapped, and end without its padding. The picture is turned as its metadata says,
    and its colours are converted to sRGB; all other content is dropped. Raises
    BadField.
    """
    # As base64 the largest file is a third longer; this leaves room for the URL's head.
    head, _, body = url.partition(",") if len(url) < 2 * MAX_BYTES else ("", "", "")
    match, text = _HEAD.fullmatch(head), "".join(body.split())
    if not match or not _BASE64.fullmatch(text):
        allowed = "a data URL, data:image/png;base64,... or jpeg"
        raise BadField("logo", url, allowed)
    text = text.rstrip("=")
    try:
        file = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise BadField("logo", "invalid base64", "valid base64") from None
    if len(file) > MAX_BYTES:
        raise BadField("logo", f"{len(file)} bytes", f"at most {MAX_BYTES} bytes")
    kind = "PNG" if match[1] == "png" else "JPEG"
    try:
        if kind == "PNG":
            file = _without_texts(file)
        with Image.open(BytesIO(file), formats=[kind]) as picture:
            result = _pixels_alone(picture)
    except BadField:
        raise
    except Image.DecompressionBombError:
        raise _too_large("a picture of far too many pixels") from None
    except Exception:  # noqa: BLE001  Pillow has no common error for damaged files
        allowed = f"a readable image/{kind.lower()}"
        raise BadField("logo", "a damaged file", allowed) from None
    if result is None:
        raise BadField("logo", "an invisible picture", "a picture that can be seen")
    return result


def _too_large(received: str) -> BadField:
    return BadField("logo", received, f"at most {MAX_PIXELS} pixels")


def _without_texts(png: bytes) -> bytes:
    """Return a PNG without its chunks of text, of which Pillow refuses a megabyte."""
    kept, start = [png[:8]], 8
    while start < len(png):
        (length,) = struct.unpack_from(">I", png, start)
        end = start + 12 + length
        if png[start + 4 : start + 8] not in _TEXT_CHUNKS:
            kept.append(png[start:end])
        start = end
    return b"".join(kept)


def _pixels_alone(picture: Image.Image) -> bytes | None:
    """Return the picture encoded anew, at most MAX_SIDE pixels wide and high.

    It is None if nothing of the picture can be seen. A picture of more than MAX_PIXELS
    raises BadField before any of them is decoded.
    """
    kind = picture.format
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise _too_large(f"{width} x {height} pixels")
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    result = _in_srgb(picture)
    if turn is not None:
        result = result.transpose(turn)
    if result.mode.startswith("I"):  # 16 bits of grey
        result = result.convert("I").point(lambda value: value / 256).convert("L")
    result = result.convert("RGBA" if kind == "PNG" else "RGB")
    if kind == "PNG" and not any(result.getchannel("A").histogram()[_LEAST_ALPHA:]):
        return None
    result.thumbnail((MAX_SIDE, MAX_SIDE))
    file = BytesIO()
    if kind == "PNG":
        result.save(file, "PNG")
    else:
        result.save(file, "JPEG", quality=90)
    return file.getvalue()


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Return the picture with its colours converted from an embedded profile."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    from PIL import ImageCms  # noqa: PLC0415  few requests need it

    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        result = ImageCms.profileToProfile(
            picture, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode
        )
    except ImageCms.PyCMSError:  # a damaged profile: the colours as they are
        return picture
    return result or picture


def place(
    data: str,
    level: Level,
    size: float | None,
    *,
    boost: bool = True,
    eci: Eci = "auto",
) -> tuple[Symbol, float]:
    """Return the smallest symbol with room for a logo, and the logo's size.

    `size` is the side as a fraction of the symbol's; None selects a default that fits.
    `level`, `boost` and `eci` are those of `encode`.
    Raises DataTooLong, and Unscannable with the largest size that would fit.
    """
    largest = 0.0
    symbol = partial(encode, data, level, boost=boost, eci=eci)
    versions = choices(data, level, boost=boost, eci=eci)
    for version, reached in islice(versions, MORE_VERSIONS + 1):
        side = 17 + 4 * version
        room = largest_clearing(version, reached)
        if size is not None and clearing(side, size) <= room:
            return symbol(version), size
        if size is None and room >= LEAST_DEFAULT:
            fitting = min(room, clearing(side, DEFAULT_SIZE))
            return symbol(version), fitting / side
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
