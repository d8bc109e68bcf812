"""Dark modules to the outlines around them, and back.

An outline goes clockwise around dark modules, and the other way around a hole, so both
rules of filling (SVG 2, 13.4.2) fill the dark modules. Programs draw no seams between
modules of one outline, as they do between strokes or squares beside each other.
"""

import re
from collections.abc import Sequence

# Of a line between two rows, a digit a module: 1 is dark above only, 2 below only.
_EDGE = re.compile("(1+)|2+")
_STEP = re.compile(r"M(\d+) (\d+)|h(-?\d+)|v(-?\d+)")


def outlines(rows: Sequence[str]) -> str:
    """Return the path of all outlines: M x y, h and v; the fill closes each one.

    Rows are texts of "1" (dark) and "0"; x and y are in modules.
    """
    begins: list[int] = []  # of each horizontal edge: where it begins,
    lengths: list[int] = []  # its length, negative to the left,
    heights: list[int] = []  # the line on which it is,
    followers: list[int] = []  # and the edge after the vertical one at its end
    # Of each column the edge that has no vertical one there yet: every second edge that
    # begins or ends in a column is at the other end of a vertical one.
    waiting: dict[int, int] = {}
    above = 0
    for y, row in enumerate([*rows, "0"]):
        # As hexadecimal numbers, so that a sum has a digit for each module.
        here = int(row, 16)
        for run in _EDGE.finditer(f"{above + 2 * here:0{len(rows)}x}"):
            left, right = run.span()
            begin, end = (right, left) if run.lastindex else (left, right)
            edge = len(begins)
            begins.append(begin)
            lengths.append(end - begin)
            heights.append(y)
            followers.append(edge)
            for column, begins_there in ((begin, True), (end, False)):
                other = waiting.pop(column, None)
                if other is None:
                    waiting[column] = edge
                elif begins_there:
                    followers[other] = edge
                else:
                    followers[edge] = other
        above = here
    return "".join(_cycles(begins, lengths, heights, followers))


def _cycles(
    begins: list[int], lengths: list[int], heights: list[int], followers: list[int]
) -> list[str]:
    """Return the parts of the path; `followers` is used up."""
    parts: list[str] = []
    for first, follower in enumerate(followers):
        if follower < 0:
            continue
        parts.append(f"M{begins[first]} {heights[first]}h{lengths[first]}")
        edge, previous = follower, first
        followers[first] = -1
        while edge != first:
            parts.append(f"v{heights[edge] - heights[previous]}h{lengths[edge]}")
            previous, edge = edge, followers[edge]
            followers[previous] = -1
    return parts


def modules(path: str, size: int) -> list[str]:
    """Return the rows of a symbol whose outlines these are."""
    # In each row, a bit where a vertical edge changes dark to light, or light to dark.
    changes = [0] * size
    x = y = top = 0

    def vertical(end: int) -> None:
        bit = 1 << size - 1 - x if x < size else 0
        for row in range(min(y, end), max(y, end)):
            changes[row] ^= bit

    for left, line, across, down in _STEP.findall(path):
        if across:
            x += int(across)
        elif down:
            vertical(y + int(down))
            y += int(down)
        else:
            vertical(top)  # which the fill closes
            x, y = int(left), int(line)
            top = y
    vertical(top)
    rows = []
    for bits in changes:
        for shift in (1, 2, 4, 8, 16, 32, 64, 128):  # each bit: all before it, summed
            bits ^= bits >> shift  # noqa: PLW2901
        rows.append(f"{bits:0{size}b}")
    return rows
