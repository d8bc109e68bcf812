"""Decoys: places in a symbol that readers take for the centre of a finder pattern.

Readers search the rows for dark-light-dark-light-dark 1:1:3:1:1 within a tolerance, and
then the column through the middle of what they found. Where the data looks like that,
ZXing, its ports and OpenCV may take it for a finder pattern, and do not read the
symbol. Another mask helps.

Planes are those of `plane`: one integer, a padding bit before each row. So a step of 1
is to the next module of a row, and a step of a stride to the next module of a column.
Shifts of the plane find the few places that are worth a look, and there the runs of
modules are measured as readers do. The row in the middle of such a place is a core, of
a few dark modules, between two gaps and two bars, and so is the column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

# The lengths of five neighbouring runs: bar, gap, core, gap, bar.
_Bars = tuple[int, int, int, int, int]
_WIDTH = 7  # modules of a finder pattern
_LONGEST = 8  # modules of a core; a finder pattern's has 3
# OpenCV allows columns almost no tolerance: these are 1:1:3:1:1.
_OPENCV_COLUMNS = {(1, 1, 3, 1, 1), (2, 2, 6, 2, 2)}
# From version 7 on there are enough rows to be skipped, and at 10 pixels a module
# enough pixels for OpenCV, which enlarges smaller pictures.
_LARGE = 45  # modules along one side


def harm(dark: int, size: int) -> int:
    """Return how far a symbol misleads readers, 0 for not at all.

    `dark` is its plane, `size` its modules along one side. Each decoy of ZXing's counts
    2, each of OpenCV's 1, since most of those do no harm.
    """
    for_zxing, for_opencv = _places(dark, size)
    if not for_zxing and not for_opencv:
        return 0
    symbol = _Symbol(f"{dark:0{size * (size + 1)}b}0", size + 1)
    widths = [
        width
        for row, column in symbol.positions(for_zxing)
        if (width := _width_for_zxing(symbol, row, column))
    ]
    opencv = sum(
        _misleads_opencv(symbol, row, column)
        for row, column in symbol.positions(for_opencv)
    )
    return 2 * _kept_by_zxing(widths) + opencv


@dataclass(slots=True)
class _Symbol:
    """The modules as text, with a light module before the first and after the last.

    Rows count from 0, columns from 1, after the padding.
    """

    text: str
    stride: int

    def positions(self, places: int) -> Iterator[tuple[int, int]]:
        """Yield row and column of each module of a plane."""
        last = len(self.text) - 2
        while places:
            from_end = places.bit_length() - 1
            places ^= 1 << from_end
            yield divmod(last - from_end, self.stride)

    def across(self, row: int, column: int) -> tuple[int, _Bars]:
        """Return the column where the dark run begins, and the five runs around it."""
        start = row * self.stride
        return _bars(self.text[start : start + self.stride + 1], column)

    def down(self, row: int, column: int) -> tuple[int, _Bars]:
        """Return the row where the dark run begins, and the five runs around it."""
        top, bars = _bars(f"0{self.text[column :: self.stride]}0", row + 1)
        return top - 1, bars


def _bars(line: str, place: int) -> tuple[int, _Bars]:
    core = line.rfind("0", 0, place) + 1
    gap = line.find("0", place)
    before = line.rfind("1", 0, core) + 1
    first = line.rfind("0", 0, before) + 1
    last = line.find("1", gap)
    end = line.find("0", last)
    return core, (before - first, core - before, gap - core, last - gap, end - last)


def _width_for_zxing(symbol: _Symbol, row: int, column: int) -> int:
    """Return the modules across what ZXing takes for a finder pattern, or 0.

    It begins with a row, goes to the middle of the column through the core's middle,
    and measures the row there.
    """
    _, middle = symbol.across(row, column)
    if not _as_zxing(middle):
        return 0
    top, down = symbol.down(row, column)
    if not _as_zxing(down):
        return 0
    skipped = _skipped_rows(symbol.stride - 1)
    for begin in range(top, top + down[2]):
        left, across = symbol.across(begin, column)
        width = sum(across)
        if (
            left + across[2] // 2 == column
            and begin not in skipped
            and 5 * abs(width - sum(down)) < 2 * width
            and 5 * abs(width - sum(middle)) < width
            and _as_zxing(across)
        ):
            return width
    return 0


def _kept_by_zxing(widths: list[int]) -> int:
    """Return how many decoys of these widths ZXing prefers to the finder patterns.

    Of all places that it found, finder patterns included, it discards those that are
    off the mean width by more than a fifth and the standard deviation. Of the rest it
    takes those that it met most often: the first two finder patterns, below which it
    skips rows, are not among them.
    """
    if not widths:
        return 0
    count = 3 + len(widths)
    total = 3 * _WIDTH + sum(widths)
    squares = 3 * _WIDTH**2 + sum([width * width for width in widths])
    limit = max(total**2, 25 * (count * squares - total**2))
    return sum(25 * (count * width - total) ** 2 <= limit for width in widths)


def _misleads_opencv(symbol: _Symbol, row: int, column: int) -> bool:
    left, across = symbol.across(row, column)
    if not _as_opencv(across):
        return False
    # Twice the distance from the column's middle to the row's.
    off = 2 * (left - across[0] - across[1] - column) + sum(across) - 1
    # A middle between two columns is that of the right one, if nothing is enlarged.
    if not -1 <= off <= (symbol.stride <= _LARGE):
        return False
    _, down = symbol.down(row, column)
    return down in _OPENCV_COLUMNS


@lru_cache(1024)
def _as_zxing(bars: _Bars) -> bool:
    """Return whether each run is within half of its share of the sum (from ZXing)."""
    first, before, core, after, last = bars
    total = sum(bars)
    return (
        total < 14 * min(first, before, after, last)
        and 14 * max(first, before, after, last) < 3 * total < 14 * core < 9 * total
    )


@lru_cache(1024)
def _as_opencv(bars: _Bars) -> bool:
    """Return whether the runs differ from their shares by a fifth of the sum (OpenCV).

    It enlarges the picture first, which adds a little.
    """
    first, before, core, after, last = bars
    total = sum(bars)
    off = abs(7 * core - 3 * total)
    for bar in (first, before, after, last):
        off += abs(7 * bar - total)
    return off < 0.215 * 7 * total


def _places(dark: int, size: int) -> tuple[int, int]:
    """Return the middles of columns' cores to measure: for ZXing, and for OpenCV.

    For ZXing, a row of the core has its middle there. Both want a row's core in the
    middle row; for OpenCV that may be any long run.
    """
    stride = size + 1
    everything, to_search, unskipped = _areas(size)
    light = dark ^ everything

    cores, _, rows = _cores(dark, light, 1)
    middles = 0
    for length, ends in cores:
        middles |= ends << (length - 1) // 2
        rows |= ends
    two = dark & dark << 1
    four = two & two << 2
    rows |= rows << 1 & dark
    rows |= rows << 2 & two
    rows |= rows << 4 & four
    long = four & two << 3
    long |= long >> 2
    long |= long >> 1 | long >> 2

    cores, exact, _ = _cores(dark, light, stride)
    found = 0
    below = middles
    for length, ends in cores:
        below = below >> stride | middles
        found |= (ends & below) << (length - 1) // 2 * stride
        if length == 6:
            exact |= ends << stride
    return found & rows & unskipped, exact << stride & (rows | long) & to_search


def _cores(dark: int, light: int, step: int) -> tuple[list[tuple[int, int]], int, int]:
    """Return the lengths of cores, and for each the modules where they end.

    Beside a core are a gap and a bar of one or two modules each: one each if it has 2
    modules, and if it has 3, one each on both sides or on neither. The last two values
    are the ends of cores of 3: those of a finder pattern, and those left out.
    """
    pair = dark & dark >> step
    triple = pair & pair >> step
    two = 2 * step
    first = dark ^ pair  # of a dark run
    last = dark ^ pair << step
    narrow_first = first & first >> two
    narrow_last = last & last << two
    bar = dark ^ triple
    bar |= bar >> step & light
    first &= bar >> two  # of a core
    bar = dark ^ triple << two
    bar |= bar << step & light
    last &= bar << two

    cores = [(2, narrow_first >> step & narrow_last)]
    run = first >> two & triple
    three = run & last
    uneven = three & (narrow_first >> two ^ narrow_last)
    three ^= uneven
    cores.append((3, three))
    for length in range(4, _LONGEST + 1):
        run = run >> step & dark
        if not run:
            break
        cores.append((length, run & last))
    return cores, three & narrow_last, uneven


@cache
def _areas(size: int) -> tuple[int, int, int]:
    """Return the planes of all modules, of what is searched, and of rows not skipped.

    The last two are without the cores of the finder patterns.
    """
    stride = size + 1
    everything = (1 << size * stride) - 1
    finders = 0
    for row, column in ((2, 2), (2, size - 5), (size - 5, 2)):
        for line in range(row, row + 3):
            finders |= 0b111 << (size - 1 - line) * stride + size - 3 - column
    to_search = everything ^ finders
    skipped = _skipped_rows(size)
    unskipped = to_search
    for line in skipped[_LONGEST // 2 : -_LONGEST // 2]:
        unskipped &= ~((1 << stride) - 1 << (size - 1 - line) * stride)
    return everything, to_search, unskipped


@cache
def _skipped_rows(size: int) -> range:
    """Return the rows that ZXing skips once it has found the two upper finder patterns.

    A reader that sees the symbol in another orientation skips other rows, or none. So
    they count in smaller symbols, most of which have a mask without any decoy.
    """
    return range(3, (size - 9) // 2) if size >= _LARGE else range(0)
