"""How far a symbol misleads readers, found one module after the other."""

from fractions import Fraction
from itertools import groupby

SHARES = (1, 1, 3, 1, 1)


def slow_harm(rows):
    """Return what `decoys.harm` should."""
    return 2 * len(kept(zxing_widths(rows))) + len(opencv_decoys(rows))


def zxing_widths(rows):
    """Return the modules across each place that ZXing takes for a finder pattern."""
    size, (across, down) = len(rows), both_ways(rows)
    skipped = range(3, size // 2 - 4) if size >= 45 else ()
    widths = []
    for i, j in outside_finders(size):
        if not (across[i][j] and down[j][i]):
            continue
        (top, column), (_, row) = down[j][i], across[i][j]
        if not (is_core(column) and i == middle(top, column) and may_be_core(row)):
            continue
        lines = [
            (other, bars)
            for other in range(top, top + column[2])
            for start, bars in filter(None, [across[other][j]])
            if middle(start, bars) == j
        ]
        if not (any(is_core(bars) for _, bars in lines) and like_zxing(row, column)):
            continue
        widths += [
            sum(bars)
            for other, bars in lines
            if other not in skipped
            and like_zxing(bars)
            and abs(sum(bars) - sum(column)) < Fraction(2, 5) * sum(bars)
            and abs(sum(bars) - sum(row)) < Fraction(1, 5) * sum(bars)
        ][:1]
    return widths


def kept(widths):
    """Return those that ZXing does not discard for their width."""
    everything = [7, 7, 7, *widths]
    average = Fraction(sum(everything), len(everything))
    variance = sum((width - average) ** 2 for width in everything) / len(everything)
    limit = max((average / 5) ** 2, variance)
    return [width for width in widths if (width - average) ** 2 <= limit]


def opencv_decoys(rows):
    """Return row and column of each place that OpenCV takes for a finder pattern."""
    size, (across, down) = len(rows), both_ways(rows)
    distances = {-Fraction(1, 2), 0} if size >= 45 else {-Fraction(1, 2), 0, 0.5}
    found = []
    for i, j in outside_finders(size):
        if not (across[i][j] and down[j][i]):
            continue
        (top, column), (start, row) = down[j][i], across[i][j]
        distance = Fraction(2 * (start - row[0] - row[1]) + sum(row) - 2 * j - 1, 2)
        if (
            column in ([1, 1, 3, 1, 1], [2, 2, 6, 2, 2])
            and i == middle(top, column)
            and (may_be_core(row) or row[2] >= 5)
            and like_opencv(row)
            and distance in distances
        ):
            found.append((i, j))
    return found


def both_ways(rows):
    """Return for each row, and for each column, what `runs` does."""
    columns = ["".join(column) for column in zip(*rows, strict=True)]
    return [runs(row) for row in rows], [runs(column) for column in columns]


def runs(line):
    """Return for each module the start of its run, and the five runs around it.

    None for light modules, and for those without two bars and gaps beside them.
    """
    lengths = [(value, len(list(run))) for value, run in groupby(f"0{line}0")]
    found, start = [], -1
    for number, (value, length) in enumerate(lengths):
        around = [length for _, length in lengths[max(0, number - 2) : number + 3]]
        whole = value == "1" and len(around) == 5
        found += [(start, around) if whole else None] * length
        start += length
    return found[1:-1]


def outside_finders(size):
    """Yield row and column of the modules outside the finder patterns' cores."""
    cores = {
        (top + i, left + j)
        for top, left in ((2, 2), (2, size - 5), (size - 5, 2))
        for i in range(3)
        for j in range(3)
    }
    places = ((i, j) for j in range(size) for i in range(size))
    return (place for place in places if place not in cores)


def middle(start, bars):
    """Return the module in the middle of a core, of two the second."""
    return start + bars[2] // 2


def is_core(bars):
    """Return whether gaps and bars have one or two modules, if short alike."""
    narrow = [bars[:2] == [1, 1], bars[3:] == [1, 1]]
    alike = {2: all(narrow), 3: narrow[0] == narrow[1]}.get(bars[2], True)
    return alike and may_be_core(bars)


def may_be_core(bars):
    """Return whether gaps and bars have one or two modules, unlike or not."""
    narrow = [bars[:2] == [1, 1], bars[3:] == [1, 1]]
    lengths = range(2, 9) if all(narrow) else range(3, 9)
    return bars[2] in lengths and {*bars[:2], *bars[3:]} <= {1, 2}


def like_zxing(*crosses):
    """Return whether no run is off by half of its share."""
    return all(
        abs(bar - Fraction(share * sum(bars), 7)) < Fraction(share * sum(bars), 14)
        for bars in crosses
        for bar, share in zip(bars, SHARES, strict=True)
    )


def like_opencv(bars):
    """Return whether the runs are off by a fifth, and a little, in sum."""
    total = sum(bars)
    off = [
        abs(Fraction(bar, total) - Fraction(share, 7))
        for bar, share in zip(bars, SHARES, strict=True)
    ]
    return sum(off) < Fraction(215, 1000)
