"""Codewords to modules: placement, masking and its penalties, on whole planes at once.

A plane is one integer with one bit for each module of a symbol, row by row. The module
at the top left is the highest bit. Before each row is one bit of padding that is always
0, so no shift moves a module into a neighbouring row. A mask is then one XOR, and each
penalty rule is a few shifts and bit counts instead of a loop over modules. Clauses and
tables are those of ISO/IEC 18004:2015.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter

import qrcode
from qrcode import util

from qr_service.engine.decoys import harm

# Table 10: i is the row, j the column; all of them repeat after 12 modules.
_MASK_CONDITIONS: tuple[Callable[[int, int], bool], ...] = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, _: i % 2 == 0,
    lambda _, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: (i * j % 3 + (i + j) % 2) % 2 == 0,
)
_MASK_PERIOD = 12
# Of the largest symbols almost every mask misleads a reader: a few are tried.
_FEW_MASKS_FROM, _FEW_MASKS = 20, 4


_Slices = Callable[[str], tuple[str, ...]]  # a text -> many slices of it


@dataclass(frozen=True, slots=True)
class _Geometry:
    """The data that all symbols of one version share."""

    stride: int  # bits of a row, padding included
    all: int  # every module
    function: int  # dark modules of finder, alignment and timing patterns
    data: int  # the modules that hold data bits
    masks: tuple[int, ...]  # the modules that each mask inverts
    has_left: int  # modules with a neighbour on their left
    has_upper: int  # modules with a neighbour above
    bits: int  # how many data bits `runs` wants; more than there are
    order: list[list[int]]  # the number of each module's data bit, from 0; -1 for none
    runs: _Slices  # the data bits -> the modules in the order of placement, in parts
    columns: _Slices  # these modules -> the columns
    rows: _Slices  # the columns -> the rows
    format_cells: tuple[int, ...]  # two modules for each bit, the lowest bit first
    constant: int  # the version information and the module that is always dark


def draw(
    codewords: bytes, version: int, level: int, mask: int | None = None
) -> tuple[int, tuple[str, ...]]:
    """Return the mask and the rows of the symbol.

    The mask is the one with the lowest penalty among those that mislead no reader,
    unless it is given. `level` is the indicator of table 12. Rows are texts of "1"
    (dark) and "0".
    """
    geometry = _geometry(version)
    bits = f"{int.from_bytes(codewords, 'big'):0{8 * len(codewords)}b}"
    modules = "".join(geometry.runs(bits.ljust(geometry.bits, "0")))
    rows = geometry.rows("".join(geometry.columns(modules)))
    plane = int("0".join(rows), 2) & geometry.data | geometry.function

    def masked(mask: int) -> int:
        return plane ^ geometry.masks[mask] | _format_information(version, level, mask)

    if mask is None:
        penalties = [
            _penalty(plane ^ inverted, geometry) for inverted in geometry.masks
        ]
        by_penalty = sorted(range(8), key=penalties.__getitem__)
        tried = by_penalty if version < _FEW_MASKS_FROM else by_penalty[:_FEW_MASKS]
        mask = _least_harmful(tried, masked, geometry.stride - 1)
    plane = masked(mask)
    stride = geometry.stride
    text = f"{plane:0{stride * (stride - 1)}b}"
    starts = range(1, len(text), stride)
    return mask, tuple([text[start : start + stride - 1] for start in starts])


def _least_harmful(
    masks: Sequence[int], masked: Callable[[int], int], size: int
) -> int:
    """Return the first mask that misleads no reader, or the one that does least."""
    harms: dict[int, int] = {}
    for mask in masks:
        harms[mask] = harm(masked(mask), size)
        if not harms[mask]:
            break
    return min(harms, key=harms.__getitem__)


def _penalty(dark: int, geometry: _Geometry) -> int:
    """Return the sum of the four rules of clause 7.8.3.1, table 11.

    As in most encoders, the format and version information count as light.
    """
    stride = geometry.stride
    light = dark ^ geometry.all
    as_left = (light ^ dark >> 1) & geometry.has_left
    as_upper = (light ^ dark >> stride) & geometry.has_upper
    blocks = as_left & as_left >> stride & as_upper
    total = (
        _runs(as_left, 1)
        + _runs(as_upper, stride)
        + 3 * blocks.bit_count()
        + 40 * _finder_likes(dark, light, 1)
        + 40 * _finder_likes(dark, light, stride)
    )
    modules = (stride - 1) ** 2
    # 10 points for each full 5 % by which the dark share differs from 50 %.
    return total + 10 * (abs(20 * dark.bit_count() - 10 * modules) // modules)


def _runs(same: int, step: int) -> int:
    """Return the points of rule 1: 3 for a run of 5 like modules, 1 for each more.

    `same` marks the modules of the same colour as the one before. Four marks in a row
    end a run of 5.
    """
    pairs = same & same >> step
    fives = pairs & pairs >> 2 * step
    return 3 * fives.bit_count() - 2 * (fives & fives << step).bit_count()


def _finder_likes(dark: int, light: int, step: int) -> int:
    """Return how often rule 3 applies.

    It applies to dark-light-dark 1:1:3:1:1, for each side with 4 light modules.
    """
    sides = dark & light >> step & dark >> 2 * step
    found = sides & dark >> 3 * step & sides >> 4 * step
    if not found:
        return 0
    pairs = light & light >> step
    fours = pairs & pairs >> 2 * step
    before, after = found & fours >> 7 * step, found & fours << 4 * step
    return before.bit_count() + after.bit_count()


@cache
def codeword_numbers(version: int) -> tuple[tuple[int, ...], ...]:
    """Return the codeword number of each module, from 0 in the order of placement.

    It is -1 for function modules and remainder bits, which belong to no codeword.
    """
    order = _geometry(version).order
    codewords = (1 + max(map(max, order))) // 8
    return tuple(
        tuple(bit // 8 if bit < 8 * codewords else -1 for bit in row) for row in order
    )


@cache
def _geometry(version: int) -> _Geometry:
    """Return the geometry of a version.

    The package `qrcode` draws the function patterns; all other modules hold data.
    """
    size = 17 + 4 * version
    stride = size + 1
    code = qrcode.QRCode(version=version)
    code.modules_count = size
    code.modules = [[None] * size for _ in range(size)]
    code.setup_position_probe_pattern(0, 0)
    code.setup_position_probe_pattern(size - 7, 0)
    code.setup_position_probe_pattern(0, size - 7)
    code.setup_position_adjust_pattern()
    code.setup_timing_pattern()
    code.setup_type_info(True, 0)  # True means a test: all of it stays light
    if version >= 7:
        code.setup_type_number(True)
    modules = code.modules

    free = _plane(["".join("01"[m is None] for m in row) for row in modules])
    columns = range(size)
    conditions = (
        [
            "".join("01"[inverts(i, j)] for j in range(_MASK_PERIOD))
            for i in range(_MASK_PERIOD)
        ]
        for inverts in _MASK_CONDITIONS
    )
    repeats = size // _MASK_PERIOD + 1
    order, runs = _placement(modules)
    return _Geometry(
        stride=stride,
        all=_plane(["1" * size] * size),
        function=_plane(["".join("01"[bool(m)] for m in row) for row in modules]),
        data=free,
        masks=tuple(
            _plane([(rows[i % _MASK_PERIOD] * repeats)[:size] for i in columns]) & free
            for rows in conditions
        ),
        has_left=_plane(["0" + "1" * (size - 1)] * size),
        has_upper=_plane(["0" * size] + ["1" * size] * (size - 1)),
        bits=max(run.stop for run in runs),
        order=order,
        runs=itemgetter(*runs),
        columns=itemgetter(*_columns(size)),
        rows=itemgetter(*(slice(row, None, size) for row in range(size))),
        format_cells=tuple(_format_cells(size)),
        constant=_cell(size - 8, 8, size) | _version_information(version, size),
    )


def _plane(rows: list[str]) -> int:
    return int("0" + "0".join(rows), 2)


def _cell(row: int, column: int, size: int) -> int:
    """Return the plane of a single dark module."""
    return 1 << (size - 1 - row) * (size + 1) + size - 1 - column


def _placement(
    modules: list[list[bool | None]],
) -> tuple[list[list[int]], list[slice]]:
    """Return the number of each module's data bit, and the slices of `runs`.

    A slice is a run of data bits, and as many more as function modules come next: what
    stands there for a moment does not matter.
    """
    size = len(modules)
    order = [[-1] * size for _ in modules]
    runs = []
    start = bits = passed = 0
    for row, column in _zigzag(size):
        if modules[row][column] is None:
            if passed:
                runs.append(slice(start, bits + passed))
                start, passed = bits, 0
            order[row][column] = bits
            bits += 1
        else:
            passed += 1
    return order, [*runs, slice(start, bits + passed)]


def _zigzag(size: int) -> Iterator[tuple[int, int]]:
    """Yield row and column of all modules in the order of placement."""
    for right, upwards in _pairs(size):
        for row in range(size - 1, -1, -1) if upwards else range(size):
            yield row, right
            yield row, right - 1


def _columns(size: int) -> list[slice]:
    """Return for each column its modules, from the top, in the order of placement."""
    columns = [slice(size)] * size  # anything, for the vertical timing pattern
    for number, (right, upwards) in enumerate(_pairs(size)):
        for side in (0, 1):
            first = 2 * size * number + side
            last = first + 2 * (size - 1)
            columns[right - side] = (
                slice(last, first - 1 if first else None, -2)
                if upwards
                else slice(first, last + 1, 2)
            )
    return columns


def _pairs(size: int) -> Iterator[tuple[int, bool]]:
    """Yield the right one of two columns, and whether they are filled upwards.

    Clause 7.7.3: two columns at a time from the right, upwards and downwards in turn,
    without the vertical timing pattern.
    """
    for number, right in enumerate([*range(size - 1, 6, -2), 5, 3, 1]):
        yield right, number % 2 == 0


def _format_cells(size: int) -> list[int]:
    """Return the modules of each format information bit (clause 7.9.1, figure 25)."""
    beside_finders = [*range(6), 7, 8, *range(size - 7, size)]  # rows of column 8
    below_finders = [*range(size - 1, size - 9, -1), 7, 5, 4, 3, 2, 1, 0]  # columns
    return [
        _cell(row, 8, size) | _cell(8, column, size)
        for row, column in zip(beside_finders, below_finders, strict=True)
    ]


@cache
def _format_information(version: int, level: int, mask: int) -> int:
    """Return level and mask (clause 7.9.1), with the version's constant modules."""
    geometry = _geometry(version)
    value = util.BCH_type_info(level << 3 | mask)
    plane = geometry.constant
    for bit, cells in enumerate(geometry.format_cells):
        if value >> bit & 1:
            plane |= cells
    return plane


def _version_information(version: int, size: int) -> int:
    """Return the 18 bits, twice, of version 7 and higher (clause 7.10, figure 27)."""
    if version < 7:
        return 0
    value = util.BCH_type_number(version)
    plane = 0
    for bit in range(18):
        if value >> bit & 1:
            near, far = bit // 3, size - 11 + bit % 3
            plane |= _cell(near, far, size) | _cell(far, near, size)
    return plane
