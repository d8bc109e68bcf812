"""Text to QR symbol (ISO/IEC 18004): the smallest version that holds the text.

The text is encoded as UTF-8 without an ECI designator, which scanners read most widely;
runs of digits and of upper-case alphanumerics get their own, denser segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import qrcode
from qrcode import util
from qrcode.constants import (
    ERROR_CORRECT_H,
    ERROR_CORRECT_L,
    ERROR_CORRECT_M,
    ERROR_CORRECT_Q,
)

from qr_service.errors import DataTooLong

Level = Literal["L", "M", "Q", "H"]
LEVELS: tuple[Level, ...] = get_args(Level)
MAX_VERSION = 40

_LEVEL_INDICATOR = {
    "L": ERROR_CORRECT_L,
    "M": ERROR_CORRECT_M,
    "Q": ERROR_CORRECT_Q,
    "H": ERROR_CORRECT_H,
}
_MODE_INDICATOR_BITS = 4


@dataclass(frozen=True, slots=True)
class Symbol:
    """A QR symbol without its quiet zone.

    `rows` are its rows from the top, each an integer of `size` bits, leftmost module
    first; a set bit is a dark module.
    """

    version: int
    level: Level
    mask: int
    rows: tuple[int, ...]

    @property
    def size(self) -> int:
        """Modules along one side (clause 6.1: 17 + 4 x version)."""
        return len(self.rows)


def encode(data: str, error_correction: Level = "M") -> Symbol:
    """The symbol of `data` at `error_correction`, or higher where that costs nothing.

    Raises DataTooLong, with the bits needed and available, when no version holds it.
    """
    segments = _segments(data)
    version = _smallest_version(segments, error_correction)
    bits = _bits(segments, version)
    level = next(name for name in reversed(LEVELS) if bits <= _capacity(version, name))
    code = qrcode.QRCode(version=version, error_correction=_LEVEL_INDICATOR[level])
    for segment in segments:
        code.add_data(segment)
    code.mask_pattern = code.best_mask_pattern()
    code.make(fit=False)
    rows = tuple(
        int("".join("1" if module else "0" for module in row), 2)
        for row in code.modules
    )
    return Symbol(version=version, level=level, mask=code.mask_pattern, rows=rows)


def _segments(data: str) -> list[util.QRData]:
    return list(util.optimal_data_chunks(data.encode()))


def _bits(segments: Sequence[util.QRData], version: int) -> int:
    """Length of the bit stream at `version` without terminator (clause 7.4)."""
    return sum(
        _MODE_INDICATOR_BITS
        + util.length_in_bits(segment.mode, version)
        + _data_bits(segment)
        for segment in segments
    )


def _data_bits(segment: util.QRData) -> int:
    count = len(segment)
    if segment.mode == util.MODE_NUMBER:
        return 10 * (count // 3) + (0, 4, 7)[count % 3]
    if segment.mode == util.MODE_ALPHA_NUM:
        return 11 * (count // 2) + 6 * (count % 2)
    return 8 * count


def _capacity(version: int, level: str) -> int:
    """Data bits of a symbol (clause 7.10, table 7)."""
    return int(util.BIT_LIMIT_TABLE[_LEVEL_INDICATOR[level]][version])


def _smallest_version(segments: Sequence[util.QRData], level: Level) -> int:
    for version in range(1, MAX_VERSION + 1):
        if _bits(segments, version) <= _capacity(version, level):
            return version
    needed = _bits(segments, MAX_VERSION)
    available = {name: _capacity(MAX_VERSION, name) for name in LEVELS}
    fitting = [name for name in LEVELS if needed <= available[name]]
    advice = (
        f"it fits at error correction {', '.join(fitting)}."
        if fitting
        else "it fits at no level; shorten it."
    )
    raise DataTooLong(
        f"The data needs {needed} bits, the largest QR code holds "
        f"{available[level]} at error correction {level}; {advice}",
        field="data",
        bits_needed=needed,
        bits_available=available,
        fits_at=fitting,
    )
