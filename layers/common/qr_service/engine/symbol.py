"""Text to QR symbol (ISO/IEC 18004:2015): the smallest version that holds the text.

Tables and modules are those of the package `qrcode`. What takes `qrcode` milliseconds
takes microseconds here, on big integers (`plane`, `reed_solomon`), and `segmentation`
needs the fewest bits.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple, get_args

from qrcode import base, constants, util

from qr_service.engine.plane import draw
from qr_service.engine.reed_solomon import error_correction as correct
from qr_service.engine.segmentation import (
    ALPHANUMERIC,
    BYTE,
    CHARACTERS,
    MODE_BITS,
    RANGES,
    Mode,
    Segment,
    VersionRange,
    segmentation,
)
from qr_service.errors import DataTooLong

Level = Literal["L", "M", "Q", "H"]
Eci = Literal["auto", "never"]
LEVELS: tuple[Level, ...] = get_args(Level)
ECIS: tuple[Eci, ...] = get_args(Eci)
MAX_VERSION = 40

# Table 12: how the format information encodes a level.
INDICATOR: dict[Level, int] = {
    "L": constants.ERROR_CORRECT_L,
    "M": constants.ERROR_CORRECT_M,
    "Q": constants.ERROR_CORRECT_Q,
    "H": constants.ERROR_CORRECT_H,
}
_TERMINATOR_BITS = 4
_blocks = cache(base.rs_blocks)  # of a version and a level's indicator (table 9)
_PADDING = bytes((util.PAD0, util.PAD1)) * 1478  # clause 7.4.10, enough for 40-L
_VALUES = bytes(max(0, CHARACTERS.find(byte)) for byte in range(256))  # table 5
_TEN_BITS = [f"{value:010b}" for value in range(1000)]
_ELEVEN_BITS = [f"{value:011b}" for value in range(45 * 45)]
# Extended channel interpretation 26, UTF-8 (clause 7.4.2): mode indicator, designator.
_UTF_8, _UTF_8_BITS = 0b0111 << 8 | 26, MODE_BITS + 8


@dataclass(frozen=True, slots=True)
class Symbol:
    """A QR symbol without its quiet zone.

    `rows` are its rows from the top, each a text of `size` characters: "1" for a dark
    module, "0" for a light one. `spare_bits` is how many more data bits fit;
    `announced` is whether the text is announced as UTF-8, by an ECI designator.
    """

    version: int
    level: Level
    mask: int
    rows: tuple[str, ...]
    spare_bits: int
    announced: bool

    @property
    def size(self) -> int:
        """Modules along one side (clause 6.1): 17 + 4 x version."""
        return len(self.rows)


class _Plan(NamedTuple):
    """The segments of a text for a range of versions, and their bits with headers."""

    text: bytes
    announced: bool  # as UTF-8, by an ECI designator
    versions: VersionRange
    segments: Sequence[Segment]
    bits: int


def encode(
    data: str,
    error_correction: Level = "M",
    least_version: int = 1,
    *,
    boost: bool = True,
    eci: Eci = "auto",
) -> Symbol:
    """Return the symbol of `data` at `error_correction`.

    It is the smallest from `least_version` up. With `boost` the level is higher if that
    is free. With `eci` "auto", text that is not ASCII is announced as UTF-8; scanners
    that do not know ECI show the designator, and readers guess without it. Raises
    DataTooLong if no version is large enough.
    """
    version, level, plan = next(
        choice
        for choice in _choices(data, error_correction, boost=boost, eci=eci)
        if choice[0] >= least_version
    )
    codewords = _codewords(plan, version, level)
    mask, rows = draw(codewords, version, INDICATOR[level])
    spare = capacity(version, level) - plan.bits
    return Symbol(version, level, mask, rows, spare, plan.announced)


def choices(
    data: str, error_correction: Level, *, boost: bool = True, eci: Eci = "auto"
) -> Iterator[tuple[int, Level]]:
    """Return every version that holds the data, smallest first, with its highest level.

    Without `boost` that is the level given. Raises DataTooLong if there is no version.
    """
    for version, level, _ in _choices(data, error_correction, boost=boost, eci=eci):
        yield version, level


def _choices(
    data: str, error_correction: Level, *, boost: bool, eci: Eci
) -> Iterator[tuple[int, Level, _Plan]]:
    limits = util.BIT_LIMIT_TABLE[INDICATOR[error_correction]]
    text = data.encode()
    announced = eci == "auto" and not data.isascii()
    levels = LEVELS[::-1] if boost else (error_correction,)
    version = 0
    for versions in RANGES:
        if 10 * len(text) > 3 * limits[versions.last]:  # more even than digits take
            continue
        plan = _plan(text, versions, announced=announced)
        first = bisect_left(limits, plan.bits, versions.first, versions.last + 1)
        for version in range(first, versions.last + 1):
            fitting = (name for name in levels if plan.bits <= capacity(version, name))
            yield version, next(fitting), plan
    if not version:
        raise _too_long(data, error_correction, announced=announced)


def _plan(text: bytes, versions: VersionRange, *, announced: bool) -> _Plan:
    segments = segmentation(text, versions)
    bits = versions.bits(segments) + (_UTF_8_BITS if announced else 0)
    return _Plan(text, announced, versions, segments, bits)


def capacity(version: int, level: Level) -> int:
    """Return the data bits of a symbol (table 7)."""
    return int(util.BIT_LIMIT_TABLE[INDICATOR[level]][version])


def _value(mode: Mode, text: bytes) -> tuple[int, int]:
    """Return a segment without its header as a number, and how many bits it has.

    Clauses 7.4.3 (numeric), 7.4.4 (alphanumeric) and 7.4.5 (byte mode).
    """
    count = len(text)
    if mode == BYTE:
        return int.from_bytes(text, "big"), 8 * count
    values = text.translate(_VALUES)
    if mode == ALPHANUMERIC:
        pairs = zip(values[::2], values[1::2], strict=False)
        bits = "".join([_ELEVEN_BITS[45 * first + second] for first, second in pairs])
        if count % 2:
            bits += f"{values[-1]:06b}"
    else:
        groups = zip(values[::3], values[1::3], values[2::3], strict=False)
        bits = "".join([_TEN_BITS[100 * a + 10 * b + c] for a, b, c in groups])
        if rest := count % 3:
            bits += f"{int(text[-rest:]):0{1 + 3 * rest}b}"
    return int(bits, 2), len(bits)


def _codewords(plan: _Plan, version: int, level: Level) -> bytes:
    """Return data and correction codewords, interleaved (clauses 7.4.10 to 7.6)."""
    count_bits = plan.versions.count_bits
    stream = _UTF_8 if plan.announced else 0
    for mode, start, end in plan.segments:
        value, bits = _value(mode, plan.text[start:end])
        header = mode << count_bits[mode] | end - start
        stream = (stream << MODE_BITS + count_bits[mode] | header) << bits | value
    used = plan.bits
    limit = capacity(version, level)
    filled = used + min(_TERMINATOR_BITS, limit - used)
    filled += -filled % 8
    data = (stream << filled - used).to_bytes(filled // 8, "big")
    data += _PADDING[: limit // 8 - len(data)]

    blocks = _blocks(version, INDICATOR[level])
    count = len(blocks)
    correction = blocks[0].total_count - blocks[0].data_count
    shortest = blocks[0].data_count
    shorter = sum(block.data_count == shortest for block in blocks)  # these come first
    result = bytearray(len(data) + correction * count)
    start = 0
    for number, block in enumerate(blocks):
        part = data[start : start + block.data_count]
        start += block.data_count
        result[number : shortest * count : count] = part[:shortest]
        if block.data_count > shortest:
            result[shortest * count + number - shorter] = part[-1]
        result[len(data) + number :: count] = correct(part, correction)
    return bytes(result)


@cache
def codeword_blocks(version: int, level: Level) -> tuple[tuple[int, ...], int]:
    """Return the block of each codeword in the order of placement (clause 7.6).

    The second value is how many wrong codewords any block corrects (clause 7.5.1). For
    the smallest versions table 9 expects one or two fewer, to avoid misreading.
    """
    blocks = _blocks(version, INDICATOR[level])
    count = len(blocks)
    correction = blocks[0].total_count - blocks[0].data_count
    longest = blocks[-1].data_count
    data = [
        number
        for position in range(longest)
        for number, block in enumerate(blocks)
        if position < block.data_count
    ]
    return (*data, *list(range(count)) * correction), correction // 2


def _too_long(data: str, level: Level, *, announced: bool) -> DataTooLong:
    needed = _plan(data.encode(), RANGES[-1], announced=announced).bits
    available = {name: capacity(MAX_VERSION, name) for name in LEVELS}
    longest = {
        name: _longest_prefix(data, available[name], announced=announced)
        for name in LEVELS
    }
    fitting = [name for name in LEVELS if needed <= available[name]]
    advice = f"use {' or '.join(fitting)}, or shorten" if fitting else "shorten"
    return DataTooLong(
        f"The data needs {needed} bits, the largest QR code holds {available[level]} "
        f"at error correction {level}; {advice} it to {longest[level]} characters.",
        field="data",
        bits_needed=needed,
        bits_available=available,
        fits_at=fitting,
        longest_prefix=longest,
    )


def _longest_prefix(data: str, limit: int, *, announced: bool) -> int:
    """Return how many characters from the start of the data would fit."""

    def bits(count: int) -> int:
        prefix = data[:count]
        announces = announced and not prefix.isascii()
        return _plan(prefix.encode(), RANGES[-1], announced=announces).bits

    fits = range(min(len(data), 7089) + 1)  # digits, at 40-L
    return bisect_left(fits, limit + 1, key=bits) - 1
