"""Places in a symbol that readers take for the centre of a finder pattern.

Readers search the rows for dark-light-dark-light-dark 1:1:3:1:1 within a tolerance, and
then the column through the middle of what they found. Where the data looks like that,
ZXing, its ports and OpenCV may take it for a finder pattern, and do not read the
symbol. Another mask helps. What is a third larger than the true patterns rarely does
harm: ZXing discards it.

Planes are those of `plane`: one integer, a padding bit before each row. So a step of 1
is to the next module of a row, and a step of a stride to the next module of a column.
Shifts of the plane find the few places that are worth a look, and there the runs of
modules are measured as readers do.
"""

from functools import cache, lru_cache

# The lengths of five neighbouring runs: dark, light, dark (the core), light, dark.
_Bars = tuple[int, int, int, int, int]
_LARGEST = 9  # modules across a decoy of ZXing's; a finder pattern has 7
# OpenCV allows half the tolerance in columns that it allows in rows: these are left.
_OPENCV_COLUMNS = {(1, 1, 3, 1, 1), *((2, 2, core, 2, 2) for core in (5, 6, 7))}


def decoys(dark: int, size: int, most: int) -> int:
    """Return how many decoys a symbol has, or `most` as soon as there are so many.

    `dark` is its plane, `size` its modules along one side.
    """
    stride = size + 1
    places = _places(dark, size)
    if not places:
        return 0
    text = f"{dark:0{size * stride}b}0"  # a row begins and ends with a light module
    found = 0
    while places and found < most:
        from_end = places.bit_length() - 1
        places ^= 1 << from_end
        found += _is_decoy(text, stride, *divmod(size * stride - 1 - from_end, stride))
    return found


def _is_decoy(text: str, stride: int, row: int, column: int) -> bool:
    """Return whether readers take the middle of a column's core for a centre.

    Places in a row or column count from 1, after a light module.
    """
    left, across = _bars(text[row * stride : (row + 1) * stride + 1], column)
    as_zxing, as_opencv = _as_zxing(across), _as_opencv(across)
    if not (as_zxing or as_opencv):
        return False
    top, down = _bars(f"0{text[column::stride]}0", row + 1)
    if as_opencv and down in _OPENCV_COLUMNS:
        start, end = left - across[0] - across[1], left + sum(across[2:])
        if abs(start + end - 2 * column - 1) <= 1:
            return True
    if not (as_zxing and _as_zxing(down)):
        return False
    height = sum(down)
    for other in range(top - 1, top - 1 + down[2]):
        left, across = _bars(text[other * stride : (other + 1) * stride + 1], column)
        width = sum(across)
        if (
            left + across[2] // 2 == column
            and width <= _LARGEST
            and _as_zxing(across)
            and 5 * abs(width - height) < 2 * width
        ):
            return True
    return False


def _bars(line: str, place: int) -> tuple[int, _Bars]:
    """Return where the dark run around a place starts, and the five runs around it."""
    core = line.rfind("0", 0, place) + 1
    gap = line.find("0", place)
    before = line.rfind("1", 0, core) + 1
    first = line.rfind("0", 0, before) + 1
    last = line.find("1", gap)
    end = line.find("0", last)
    return core, (before - first, core - before, gap - core, last - gap, end - last)


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


def _places(dark: int, size: int) -> int:
    """Return the middles of columns' cores in which a row has a middle, or nearly one.

    A core may have 2 to 7 modules, and beside it a gap and a bar of one or two. Of one,
    if it has 2 modules; if 3, of one on both sides or more on both.
    """
    stride = size + 1
    strict_first, strict_last, first, last = _ends(dark, 1)
    two = strict_first & strict_last << 1
    three = strict_first & dark << 1 & strict_last << 2
    longer = strict_first & dark << 1 & dark << 2
    five = longer & dark << 3 & strict_last << 4
    middles = (two | three) >> 1 | (longer & strict_last << 3 | five) >> 2
    rows = _between(first, last, dark)
    middles &= rows

    strict_first, strict_last, first, last = _ends(dark, stride)
    exact = strict_first & dark << stride & strict_last << 2 * stride
    # OpenCV: rows of a pattern may be larger, with longer bars.
    found = exact >> stride & (rows | _long_runs(dark))
    if middles:
        below = middles | middles << stride
        others = (strict_first & strict_last << stride & below) >> stride
        below |= middles << 2 * stride
        wide = first & ~strict_first & (last & ~strict_last) << 2 * stride
        others |= (wide & dark << stride & below) >> stride
        run = first & dark << stride & dark << 2 * stride
        for length in range(4, 8):
            distance = (length - 1) * stride
            run &= dark << distance
            if not run:
                break
            below |= middles << distance
            others |= (run & last << distance & below) >> length // 2 * stride
        found |= others & rows
    return found & _outside_finders(size)


def _long_runs(dark: int) -> int:
    """Return the modules in runs of at least 5 in a row."""
    two = dark & dark >> 1
    five = two & two >> 2 & dark >> 4
    two = five | five << 1
    return two | two << 2 | five << 4


def _between(first: int, last: int, dark: int) -> int:
    """Return the modules of rows' cores that are within 8 modules of both ends."""
    two = dark & dark >> 1
    four = two & two >> 2
    first |= first >> 1 & dark
    first |= first >> 2 & two
    first |= first >> 4 & four
    two = dark & dark << 1
    four = two & two << 2
    last |= last << 1 & dark
    last |= last << 2 & two
    last |= last << 4 & four
    return first & last


def _ends(dark: int, step: int) -> tuple[int, int, int, int]:
    """Return the first and last modules of cores: strictly, then loosely.

    Strictly the gap and the bar beside it have one module each, loosely one or two.
    """
    one, two, three, four, five = (dark >> distance * step for distance in range(1, 6))
    start = dark & ~one
    strict_first = start & two & ~three
    first = start & (two & ~(three & four) | three & ~(two | four & five))
    one, two, three, four, five = (dark << distance * step for distance in range(1, 6))
    start = dark & ~one
    strict_last = start & two & ~three
    last = start & (two & ~(three & four) | three & ~(two | four & five))
    return strict_first, strict_last, first, last


@cache
def _outside_finders(size: int) -> int:
    """Return all modules but the cores of the three finder patterns."""
    cores = 0
    for row, column in ((2, 2), (2, size - 5), (size - 5, 2)):
        for line in range(row, row + 3):
            cores |= 0b111 << (size - 1 - line) * (size + 1) + size - 3 - column
    return ~cores
