"""The standard's rules for a QR symbol, module by module: slow, but simple.

This module shares no code with the service. It is the tests' oracle for placement,
blocks and penalties. Clauses are those of ISO/IEC 18004:2015.
"""

from functools import cache

from qrcode import base, util

INDICATOR = {"L": 1, "M": 0, "Q": 3, "H": 2}  # table 12


def is_function(row, column, version):
    """Return whether a module belongs to no codeword (clause 6.3, figures 2 to 18)."""
    size = 17 + 4 * version
    far = size - 8
    # Finder patterns, separators and format information.
    if row <= 8 and (column <= 8 or column >= far):
        return True
    if row >= far and column <= 8:
        return True
    if 6 in (row, column):  # timing patterns
        return True
    if version >= 7 and (
        (row < 6 and column >= size - 11) or (column < 6 and row >= size - 11)
    ):
        return True  # version information
    return any(
        abs(row - i) <= 2 and abs(column - j) <= 2
        for i, j in alignment_centres(version)
    )


@cache
def alignment_centres(version):
    """Return the centres of the alignment patterns (annex E).

    Three crossings are inside finder patterns and have no alignment pattern.
    """
    size = 17 + 4 * version
    lines = util.pattern_position(version)
    in_finders = {(6, 6), (6, size - 7), (size - 7, 6)}
    return [(i, j) for i in lines for j in lines if (i, j) not in in_finders]


def walk(version):
    """Yield the modules in the order in which bits are placed (clause 7.7.3)."""
    size = 17 + 4 * version
    right, upwards = size - 1, True
    while right > 0:
        if right == 6:  # the vertical timing pattern fills this column
            right -= 1
        for step in range(size):
            row = size - 1 - step if upwards else step
            for column in (right, right - 1):
                if not is_function(row, column, version):
                    yield row, column
        right -= 2
        upwards = not upwards


@cache
def codewords(version):
    """Return the eight modules of each codeword, without the remainder bits."""
    cells = list(walk(version))
    return [cells[start : start + 8] for start in range(0, len(cells) - 7, 8)]


def blocks(version, level):
    """Return the codeword numbers of each block, and how many errors a block corrects.

    Clause 7.6: the first data codeword of each block, then the second, and so on; then
    the error correction codewords in the same way.
    """
    parts = base.rs_blocks(version, INDICATOR[level])
    members = [[] for _ in parts]
    number = 0
    for data in (True, False):
        lengths = [
            part.data_count if data else part.total_count - part.data_count
            for part in parts
        ]
        for position in range(max(lengths)):
            for member, length in zip(members, lengths, strict=True):
                if position < length:
                    member.append(number)
                    number += 1
    correctable = (parts[0].total_count - parts[0].data_count) // 2
    return members, correctable


def damage(version, level, cleared):
    """Return the share of its correction capacity that the worst block needs.

    `cleared` is the side, in modules, of the unreadable square in the middle.
    """
    size = 17 + 4 * version
    start = (size - cleared) // 2
    square = range(start, start + cleared)
    wrong = {
        number
        for number, cells in enumerate(codewords(version))
        if any(row in square and column in square for row, column in cells)
    }
    members, correctable = blocks(version, level)
    return max(len(wrong & set(member)) for member in members) / correctable


def penalty(rows):
    """Return the penalty of clause 7.8.3.1, rule by rule.

    Patterns that resemble a finder pattern count only if they are inside the symbol.
    """
    size = len(rows)
    columns = ["".join(column) for column in zip(*rows, strict=True)]
    total = 0
    for line in (*rows, *columns):
        run = 1
        for before, module in zip(line, f"{line[1:]}-", strict=True):
            if module == before:
                run += 1
                continue
            total += run - 2 if run >= 5 else 0
            run = 1
        for start in range(size - 10):
            if line[start : start + 11] in ("10111010000", "00001011101"):
                total += 40
    for row in range(size - 1):
        for column in range(size - 1):
            square = rows[row][column : column + 2] + rows[row + 1][column : column + 2]
            total += 3 if square in ("0000", "1111") else 0
    dark = sum(row.count("1") for row in rows)
    return total + 10 * int(abs(100 * dark / size**2 - 50) / 5)
