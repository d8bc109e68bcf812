"""Modules that readers take for the centre of a finder pattern, one after the other."""

from fractions import Fraction
from itertools import groupby

SIDES = {1, 2}  # modules of a gap or a bar beside a core


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

    None for light modules and where gaps and bars beside it are not 1 or 2 long.
    """
    runs = []
    for value, run in groupby(f"0{line}0"):
        runs.append((value, len(list(run))))
    found, start = [], -1
    for number, (value, length) in enumerate(runs):
        around = [length for _, length in runs[max(0, number - 2) : number + 3]]
        is_core = value == "1" and len(around) == 5
        sides = {*around[:2], *around[3:]}
        known = (start, around) if is_core and sides <= SIDES else None
        found += [known] * length
        start += length
    return found[1:-1]


def misleads(across, column, i, j):
    """Return whether readers take this module for a centre."""
    if column[i] is None or across[i][j] is None:
        return False
    top, down = column[i]
    left, row = across[i][j]
    core = down[2]
    if i != top + core // 2 or not 2 <= core <= 7 or row[2] > 8:
        return False
    start = left - row[0] - row[1]
    if down == [1, 1, 3, 1, 1] and like_opencv(row):
        middle = Fraction(2 * start + sum(row), 2)
        if abs(middle - j - Fraction(1, 2)) <= Fraction(1, 2):
            return True
    if not like_zxing(down) or not like_zxing(row):
        return False
    for found in (across[other][j] for other in range(top, top + core)):
        if found is None:
            continue
        left, row = found
        share = Fraction(2, 5) * sum(row)
        if (
            left + row[2] // 2 == j
            and sum(row) <= 9
            and like_zxing(row)
            and abs(sum(row) - sum(down)) < share
        ):
            return True
    return False


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
