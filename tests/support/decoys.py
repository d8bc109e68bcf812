"""Modules that readers take for the centre of a finder pattern, one after the other."""

from fractions import Fraction
from itertools import groupby


def slow_decoys(rows):
    """Return row and column of each module that `decoys` should count."""
    size = len(rows)
    across = [lines(row) for row in rows]
    down = [lines("".join(row[j] for row in rows)) for j in range(size)]
    finders = {
        (top + i, left + j)
        for top, left in ((2, 2), (2, size - 5), (size - 5, 2))
        for i in range(3)
        for j in range(3)
    }
    return {
        (i, j)
        for j in range(size)
        for i in range(size)
        if (i, j) not in finders and misleads(across, down[j], i, j)
    }


def lines(line):
    """Return for each module the start of its run, and the five runs around it.

    None for light modules, and for those without two bars and gaps beside them.
    """
    runs = []
    for value, run in groupby(f"0{line}0"):
        runs.append((value, len(list(run))))
    found, start = [], -1
    for number, (value, length) in enumerate(runs):
        around = [length for _, length in runs[max(0, number - 2) : number + 3]]
        is_core = value == "1" and len(around) == 5
        found += [(start, around) if is_core else None] * length
        start += length
    return found[1:-1]


def misleads(across, column, i, j):
    """Return whether readers take this module, the middle of a column, for a centre."""
    if column[i] is None or across[i][j] is None:
        return False
    top, down = column[i]
    core = range(top, top + down[2])
    if i != top + len(core) // 2 or not 2 <= len(core) <= 7 or not is_narrow(down):
        return False
    middles = [
        bars
        for start, bars in filter(None, (across[other][j] for other in core))
        if start + bars[2] // 2 == j and sum(bars) <= 9 and like_zxing(bars)
    ]
    left, row = across[i][j]
    exact = down == [1, 1, 3, 1, 1]
    reach = max(j - left, left + row[2] - 1 - j)  # modules to the ends of its run
    if not (is_narrow(row) and reach < 8) and not (exact and row[2] >= 5):
        return False
    return misleads_opencv(left, row, down, j, middles) or (
        like_zxing(row)
        and like_zxing(down)
        and any(abs(sum(m) - sum(down)) < Fraction(2, 5) * sum(m) for m in middles)
    )


def misleads_opencv(left, row, down, j, middles):
    """Return whether a row at the middle of a column does."""
    exact = down == [1, 1, 3, 1, 1]
    double = down[2] >= 5 and set(down[:2] + down[3:]) == {2}
    if not (exact or (double and middles)) or not like_opencv(row):
        return False
    middle = Fraction(2 * (left - row[0] - row[1]) + sum(row), 2)
    return abs(middle - j - Fraction(1, 2)) <= Fraction(1, 2)


def is_narrow(bars):
    """Return whether gaps and bars have one or two modules."""
    return {*bars[:2], *bars[3:]} <= {1, 2}


def like_zxing(bars):
    """Return whether no run is off by half of its share."""
    module = Fraction(sum(bars), 7)
    return all(
        abs(bar - share * module) < share * module / 2
        for bar, share in zip(bars, (1, 1, 3, 1, 1), strict=True)
    )


def like_opencv(bars):
    """Return whether the runs are off by a fifth, and a little, in sum."""
    total = sum(bars)
    off = [
        abs(Fraction(bar, total) - Fraction(share, 7))
        for bar, share in zip(bars, (1, 1, 3, 1, 1), strict=True)
    ]
    return sum(off) < Fraction(215, 1000)
