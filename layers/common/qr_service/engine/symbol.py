"""Text to QR symbol (ISO/IEC 18004:2015): the smallest version that holds the text.

Segmentation, tables and modules are those of the package `qrcode`. What takes `qrcode`
milliseconds takes microseconds here, on big integers (`plane`, `reed_solomon`). Text is
encoded as UTF-8 without an ECI designator, which most scanners can read.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from qrcode import base, constants, util

from qr_service.engine.plane import draw
from qr_service.engine.reed_solomon import error_correction as correct
from qr_service.errors import DataTooLong

Level = Literal["L", "M", "Q", "H"]
_Mode = Literal[1, 2, 4, 8]  # indicators: numeric, alphanumeric, byte, kanji (table 2)
LEVELS: tuple[Level, ...] = get_args(Level)
MAX_VERSION = 40

# Table 12: how the format information encodes a level.
INDICATOR: dict[Level, int] = {
    "L": constants.ERROR_CORRECT_L,
    "M": constants.ERROR_CORRECT_M,
    "Q": constants.ERROR_CORRECT_Q,
    "H": constants.ERROR_CORRECT_H,
}
_MODE_BITS = 4  # of the mode indicator (clause 7.4.1)
_TERMINATOR_BITS = 4
_PADDING = bytes((util.PAD0, util.PAD1)) * 1478  # clause 7.4.10, enough for 40-L
_LEAST_RUN = 20  # digits or capitals that get a segment of their own, as in `qrcode`
_ALPHANUMERIC = bytes(max(0, util.ALPHA_NUM.find(byte)) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Symbol:
    """A QR symbol without its quiet zone.

    `rows` are its rows from the top, each a text of `size` characters: "1" for a dark
    module, "0" for a light one. `spare_bits` is how many more data bits fit.
    """

    version: int
    level: Level
    mask: int
    rows: tuple[str, ...]
    spare_bits: int

    @property
    def size(self) -> int:
        """Modules along one side (clause 6.1): 17 + 4 x version."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A run of characters in one mode, and their bits without any header."""

    mode: _Mode
    characters: int
    value: int
    bits: int


def encode(data: str, error_correction: Level = "M", least_version: int = 1) -> Symbol:
    """Return the symbol of `data` at `error_correction`, or higher if that is free.

    It is the smallest from `least_version` up. Raises DataTooLong if none is large
    enough.
    """
    segments = _segments(data)
    version, level = next(
        choice
        for choice in _choices(data, segments, error_correction)
        if choice[0] >= least_version
    )
    codewords = _codewords(segments, version, level)
    mask, rows = draw(codewords, version, INDICATOR[level])
    spare = capacity(version, level) - _length(segments, version)
    return Symbol(version, level, mask, rows, spare)


def choices(data: str, error_correction: Level) -> Iterator[tuple[int, Level]]:
    """Return every version that holds the data, smallest first, with its highest level.

    Raises DataTooLong if there is none.
    """
    return _choices(data, _segments(data), error_correction)


def _choices(
    data: str, segments: Sequence[_Segment], error_correction: Level
) -> Iterator[tuple[int, Level]]:
    smallest = _smallest_version(segments, error_correction)
    if smallest > MAX_VERSION:
        raise _too_long(data, segments, error_correction)
    for version in range(smallest, MAX_VERSION + 1):
        bits = _length(segments, version)
        fitting = (name for name in reversed(LEVELS) if bits <= capacity(version, name))
        yield version, next(fitting)


def capacity(version: int, level: Level) -> int:
    """Return the data bits of a symbol (table 7)."""
    return int(util.BIT_LIMIT_TABLE[INDICATOR[level]][version])


def _segments(data: str) -> list[_Segment]:
    return [
        _segment(part.mode, part.data)
        for part in util.optimal_data_chunks(data, minimum=_LEAST_RUN)
    ]


def _segment(mode: _Mode, text: bytes) -> _Segment:
    """Encode by clause 7.4.3 (numeric), 7.4.4 (alphanumeric) or 7.4.5 (byte mode)."""
    count = len(text)
    if mode == util.MODE_8BIT_BYTE:
        return _Segment(mode, count, int.from_bytes(text, "big"), 8 * count)
    if mode == util.MODE_NUMBER:
        groups = (text[start : start + 3] for start in range(0, count, 3))
        bits = "".join(f"{int(group):0{1 + 3 * len(group)}b}" for group in groups)
    else:
        values = text.translate(_ALPHANUMERIC)
        pairs = zip(values[::2], values[1::2], strict=False)
        bits = "".join([f"{45 * first + second:011b}" for first, second in pairs])
        if count % 2:
            bits += f"{values[-1]:06b}"
    return _Segment(mode, count, int(bits, 2), len(bits))


def _length(segments: Sequence[_Segment], version: int) -> int:
    """Return the bits of the segments with their headers (clause 7.4.1, table 3)."""
    count_bits = util.mode_sizes_for_version(version)
    return sum(
        _MODE_BITS + count_bits[segment.mode] + segment.bits for segment in segments
    )


def _smallest_version(segments: Sequence[_Segment], level: Level) -> int:
    """Return the first version that holds the segments, or MAX_VERSION + 1."""
    limits = util.BIT_LIMIT_TABLE[INDICATOR[level]]
    for first, last in ((1, 9), (10, 26), (27, 40)):  # headers of equal length
        if (needed := _length(segments, last)) <= limits[last]:
            return bisect_left(limits, needed, first, last)
    return MAX_VERSION + 1


def _codewords(segments: Sequence[_Segment], version: int, level: Level) -> bytes:
    """Return data and correction codewords, interleaved (clauses 7.4.10 to 7.6)."""
    count_bits = util.mode_sizes_for_version(version)
    stream = used = 0
    for segment in segments:
        header = segment.mode << count_bits[segment.mode] | segment.characters
        bits = _MODE_BITS + count_bits[segment.mode] + segment.bits
        stream = stream << bits | header << segment.bits | segment.value
        used += bits
    limit = capacity(version, level)
    filled = used + min(_TERMINATOR_BITS, limit - used)
    filled += -filled % 8
    data = (stream << filled - used).to_bytes(filled // 8, "big")
    data += _PADDING[: limit // 8 - len(data)]

    blocks = base.rs_blocks(version, INDICATOR[level])
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
    blocks = base.rs_blocks(version, INDICATOR[level])
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


def _too_long(data: str, segments: Sequence[_Segment], level: Level) -> DataTooLong:
    needed = _length(segments, MAX_VERSION)
    available = {name: capacity(MAX_VERSION, name) for name in LEVELS}
    longest = {name: _longest_prefix(data, name) for name in LEVELS}
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


def _longest_prefix(data: str, level: Level) -> int:
    """Return how many characters from the start of the data would fit."""
    fits = range(min(len(data), 7089) + 1)  # digits, at 40-L
    limit = capacity(MAX_VERSION, level)
    return (
        bisect_left(
            fits,
            limit + 1,
            key=lambda count: _length(_segments(data[:count]), MAX_VERSION),
        )
        - 1
    )
