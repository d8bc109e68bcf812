"""Places in a symbol that readers take for the centre of a finder pattern.

ZXing, its ports and OpenCV search the rows for dark-light-dark-light-dark 1:1:3:1:1
within a tolerance, and then the column through the middle of what they found. Where the
data looks like that, they may take it for a finder pattern, and do not read the symbol.
Another mask helps. What is found here are the patterns of a few modules, which are
almost all of them.

Planes are those of `plane`: one integer, a padding bit before each row. So a step of 1
is to the next module of a row, and a step of a stride to the next module of a column.
"""

from functools import cache


def decoys(dark: int, modules: int, size: int) -> int:
    """Return the plane of the modules that look like the centre of a finder pattern.

    `modules` is the plane of all modules.
    """
    stride, light = size + 1, dark ^ modules
    outside = _outside_finders(size)
    found = 0
    ends = _strict_ends(dark, light, 1)
    column_ends = _strict_ends(dark, light, stride)
    middles = _middles(dark, 1, *ends) & outside
    if middles:  # ZXing: the middles of row and column coincide
        columns = _loose_middles(dark, light, stride)
        found = middles & (columns | _short_middles(dark, stride, *column_ends))
    first, last = column_ends
    exact = (first & dark << stride & last << 2 * stride) >> stride & outside
    if exact:  # OpenCV: the column is exact, and the row's middle may be next to it
        found |= exact & _near_middles(dark, light, *ends)
    return found


def _middles(dark: int, step: int, first: int, last: int) -> int:
    """Return the middles of cores of 2 to 5 modules between these ends."""
    run = first & dark << step & dark << 2 * step
    five = run & dark << 3 * step & last << 4 * step
    longer = (run & last << 3 * step | five) >> 2 * step
    return longer | _short_middles(dark, step, first, last)


def _short_middles(dark: int, step: int, first: int, last: int) -> int:
    """Return the middles of cores of 2 or 3 modules between these ends."""
    two = first & last << step
    return (two | first & dark << step & last << 2 * step) >> step


def _loose_middles(dark: int, light: int, step: int) -> int:
    """Return the middles of cores of 4 to 6, with gaps and bars of one or two."""
    first, last = _loose_ends(dark, light, step)
    run = first & dark << step & dark << 2 * step & dark << 3 * step
    four = run & last << 3 * step
    run &= dark << 4 * step
    if not run:
        return four >> 2 * step
    five = run & last << 4 * step
    six = run & dark << 5 * step & last << 5 * step
    return (four | five) >> 2 * step | six >> 3 * step


def _near_middles(dark: int, light: int, first: int, last: int) -> int:
    """Return where OpenCV sees the middle of a row's pattern, which it enlarges first.

    `first` and `last` are the strict ends of rows.
    """
    two = first & last << 1
    first, last = _loose_ends(dark, light, 1)
    run = first & dark << 1 & dark << 2
    three = run & last << 2
    four = run & dark << 3 & last << 3
    return two | three | three >> 2 | four >> 1 | four >> 2


def _strict_ends(dark: int, light: int, step: int) -> tuple[int, int]:
    """Return the first and the last modules of runs beside a gap and a bar of one."""
    before, after = dark >> step, dark << step
    alone = dark & ~(before | after)
    gap = before & after & light
    return dark & (gap & alone >> step) >> step, dark & (gap & alone << step) << step


def _loose_ends(dark: int, light: int, step: int) -> tuple[int, int]:
    """Return the same with gap and bar of one or two modules, not more than three."""
    one, two, three, four = (dark >> distance * step for distance in range(2, 6))
    near, far = light >> step, light >> 2 * step
    first = dark & near & (one & ~(two & three) | far & two & ~(three & four))
    one, two, three, four = (dark << distance * step for distance in range(2, 6))
    near, far = light << step, light << 2 * step
    last = dark & near & (one & ~(two & three) | far & two & ~(three & four))
    return first, last


@cache
def _outside_finders(size: int) -> int:
    """Return all modules but the cores of the three finder patterns."""
    cores = 0
    for row, column in ((2, 2), (2, size - 5), (size - 5, 2)):
        for line in range(row, row + 3):
            cores |= 0b111 << (size - 1 - line) * (size + 1) + size - 3 - column
    return ~cores
