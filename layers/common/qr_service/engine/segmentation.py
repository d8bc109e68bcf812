"""Bytes to segments of the fewest bits (ISO/IEC 18004:2015, 7.4), exactly.

A segment is a stretch of characters in one mode: digits take 10/3 bits, the 45
alphanumeric characters 11/2, bytes 8, and each change of mode a header. Why the result
is the smallest there is:

1. A character that only byte mode has costs whole bits there. So the text falls into
   stretches of alphanumeric characters with bytes, or the end of the text, around each,
   and every stretch is decided alone.
2. Within a stretch, borders between runs of digits and runs of others are enough. A
   border inside a run can move towards the dearer mode for nothing until it meets the
   run's end, or until the dearer segment is gone, which saves its header.
3. A segment's bits are rounded up where it ends. Rounding is monotone, so of all ways
   to a place that end in one mode, the cheapest is all that has to be kept.
4. A short stretch cannot save its header: `VersionRange` computes from which length on
   one can. Shorter runs of digits stay with their neighbours.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from operator import itemgetter
from typing import Literal

Mode = Literal[1, 2, 4]  # indicators (table 2)
NUMERIC: Mode = 1
ALPHANUMERIC: Mode = 2
BYTE: Mode = 4
CHARACTERS = (
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # values 0 to 44 (table 5)
)

Segment = tuple[Mode, int, int]  # mode, start and end in the bytes
# A way through a stretch: its last segment's mode and start, and the way before it.
_Way = tuple["_Way", Mode, int] | None

MODE_BITS = 4  # of the mode indicator (clause 7.4.1)
_SIXTHS: Mapping[Mode, int] = {NUMERIC: 20, ALPHANUMERIC: 33, BYTE: 48}  # of a bit each
_DIGITS = re.compile(rb"[0-9]+")
_first = itemgetter(0)


class VersionRange:
    """The versions `first` to `last`, whose headers have equal lengths (table 3)."""

    def __init__(self, first: int, last: int, *count_bits: int) -> None:
        self.first = first
        self.last = last
        self.count_bits: Mapping[Mode, int] = dict(
            zip((NUMERIC, ALPHANUMERIC, BYTE), count_bits, strict=True)
        )
        self.header_bits: Mapping[Mode, int] = {
            mode: MODE_BITS + bits for mode, bits in self.count_bits.items()
        }
        # Costs are in sixths of a bit, so that all are whole numbers.
        self.header_costs: Mapping[Mode, int] = {
            mode: 6 * bits for mode, bits in self.header_bits.items()
        }
        # The least characters that are worth a segment of their own: at an end of the
        # text, and between bytes, where a byte header follows.
        self.least_at_end = self._least(0)
        self.least_inside = self._least(self.header_bits[BYTE])
        shortest = min(self.least_at_end)
        pattern = rb"[%b]{%d,}" % (re.escape(CHARACTERS), shortest)
        self.stretches: Callable[[bytes], Iterator[re.Match[bytes]]] = re.compile(
            pattern
        ).finditer

    def _least(self, spent: int) -> tuple[int, int]:
        """Return how many digits, and alphanumerics, save a header and `spent` bits."""
        digits, others = (
            next(
                n
                for n in count(1)
                if n * (48 - _SIXTHS[mode]) // 6 > self.header_bits[mode] + spent
            )
            for mode in (NUMERIC, ALPHANUMERIC)
        )
        return digits, others

    def bits(self, segments: Iterable[Segment]) -> int:
        """Return the bits of segments with their headers."""
        return sum(
            self.header_bits[mode] + -(-_SIXTHS[mode] * (end - start) // 6)
            for mode, start, end in segments
        )


RANGES = (
    VersionRange(1, 9, 10, 9, 8),
    VersionRange(10, 26, 12, 11, 16),
    VersionRange(27, 40, 14, 13, 16),
)


def segmentation(data: bytes, versions: VersionRange) -> list[Segment]:
    """Return the segments of the fewest bits for a range of versions, without gaps."""
    size = len(data)
    found: list[Segment] = []
    if data and not data.translate(None, CHARACTERS):  # no byte anywhere
        least = 1 if data.isdigit() else versions.least_at_end[0]
        found = _cheapest(_runs(data, 0, size, least), size, versions)
    else:
        for match in versions.stretches(data):
            start, end = match.span()
            at_end = start == 0 or end == size
            digits, others = versions.least_at_end if at_end else versions.least_inside
            runs = _runs(data, start, end, digits)
            if len(runs) > 1:
                found += _cheapest(runs, size, versions)
            elif runs[0][0] == NUMERIC or end - start >= others:
                found += runs
    segments: list[Segment] = []
    done = 0
    for segment in (*found, (BYTE, size, size)):
        if done < segment[1]:
            segments.append((BYTE, done, segment[1]))
        segments.append(segment)
        done = segment[2]
    return segments[:-1]


def _runs(data: bytes, start: int, end: int, digits: int) -> list[Segment]:
    """Return the runs of at least that many digits, and what is between them."""
    runs: list[Segment] = []
    for match in _DIGITS.finditer(data, start, end):
        left, right = match.span()
        if right - left >= digits:
            if start < left:
                runs.append((ALPHANUMERIC, start, left))
            runs.append((NUMERIC, left, right))
            start = right
    if start < end:
        runs.append((ALPHANUMERIC, start, end))
    return runs


def _cheapest(runs: list[Segment], size: int, versions: VersionRange) -> list[Segment]:
    """Return the segments of a stretch that are not bytes, in the cheapest way.

    `size` is the length of the whole text. Costs are in sixths of a bit.
    """
    header = versions.header_costs
    start, end = runs[0][1], runs[-1][2]
    # The cost so far of each mode that the last character may be in. Bytes before the
    # stretch have their header already.
    ways: dict[Mode, tuple[int, _Way]] = {BYTE: (0, None)} if start else {}
    cost, way = 0, None
    for kind, left, right in runs:
        if ways:
            cost, way = min(
                ((cost + -cost % 6, way) for cost, way in ways.values()), key=_first
            )
        new = {}
        for mode in (
            (BYTE, ALPHANUMERIC) if kind != NUMERIC else (BYTE, ALPHANUMERIC, NUMERIC)
        ):
            begun = cost + header[mode]
            stayed = ways.get(mode)
            if stayed is None or begun < stayed[0]:
                stayed = begun, (way, mode, left)
            new[mode] = stayed[0] + _SIXTHS[mode] * (right - left), stayed[1]
        ways = new
    after = header[BYTE] if end < size else 0
    _, way = min(
        (
            (cost + (0 if mode == BYTE else -cost % 6 + after), way)
            for mode, (cost, way) in ways.items()
        ),
        key=_first,
    )
    segments: list[Segment] = []
    while way:
        way, mode, left = way
        if mode != BYTE:
            segments.append((mode, left, end))
        end = left
    return segments[::-1]
