"""Modules that look like the centre of a finder pattern, one line after the other."""

SIDES = [(1, 1), (1, 2), (2, 1), (2, 2)]  # gap and bar beside a core


def slow_decoys(rows):
    """Return row and column of each module that `decoys` should find."""
    size = len(rows)
    columns = ["".join(row[i] for row in rows) for i in range(size)]
    across = [patterns(row) for row in rows]
    down = [patterns(column) for column in columns]
    finders = {
        (top + i, left + j)
        for top, left in ((2, 2), (2, size - 5), (size - 5, 2))
        for i in range(3)
        for j in range(3)
    }
    return {
        (i, j)
        for i in range(size)
        for j in range(size)
        if (i, j) not in finders and misleads(across[i], down[j], i, j)
    }


def misleads(across, down, i, j):
    """Return whether a row's and a column's patterns have this module in common."""
    columns = {
        (start + core // 2, core, strict)
        for start, core, strict in down
        if (core <= 3 and strict) or 4 <= core <= 6
    }
    zxing = {start + min(core // 2, 2) for start, core, strict in across if strict}
    exact = {start + 1 for start, core, strict in down if strict and core == 3}
    opencv = set()
    for start, core, strict in across:
        if core == 2 and strict:
            opencv.add(start)
        if core == 3:
            opencv |= {start, start + 2}
        if core == 4:
            opencv |= {start + 1, start + 2}
    coincide = j in zxing and i in {middle for middle, _, _ in columns}
    return coincide or (j in opencv and i in exact)


def patterns(line):
    """Return start and length of each core of 2 to 6, and whether all bars are 1."""
    padded = f"000000{line}000000"
    found = []
    start = 0
    while (start := padded.find("1", start)) >= 0:
        end = padded.find("0", start)
        before = side(padded[start - 5 : start][::-1])
        after = side(padded[end : end + 5])
        core = end - start
        if before and after and 2 <= core <= 6:
            strict = before == after == (1, 1)
            if strict and core <= 5:
                found.append((start - 6, core, True))
            if core >= 3:
                found.append((start - 6, core, False))
        start = end
    return found


def side(text):
    """Return gap and bar at the start of a text, None if they are not 1 or 2 long."""
    gap = len(text) - len(text.lstrip("0"))
    bar = len(text[gap:]) - len(text[gap:].lstrip("1"))
    return (gap, bar) if (gap, bar) in SIDES else None
