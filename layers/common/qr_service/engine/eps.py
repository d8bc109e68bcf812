"""EPS, Encapsulated PostScript level 2: one square page with filled paths; and back.

The prologue defines each command of a path as a procedure, so that a path is written as
in SVG, but with the numbers first.
"""

import math
import re

from qr_service.engine.colours import ink_of, of_ink
from qr_service.engine.paths import QUARTER, Drawing, commands

_OPERATORS = {4: "setcmykcolor", 3: "setrgbcolor"}
_PER_LINE = 20  # commands; a line has at most 255 characters (DSC 3.0, 3.1)
# `a` is a quarter of a circle as a Bezier curve: its control points are 0.5523 of the
# radius away from its ends.
_PROLOGUE = """\
%%BeginProlog
10 dict begin
/M{moveto}bind def
/h{0 rlineto}bind def
/v{0 exch rlineto}bind def
/z{closepath}bind def
/a{/y exch def/x exch def
x y mul 0 lt{0 y .5523 mul x .4477 mul y}{x .5523 mul 0 x y .4477 mul}ifelse
x y rcurveto}bind def
%%EndProlog"""


def write(drawing: Drawing, side: float) -> bytes:
    """Return the EPS file of a drawing; its box has a side of so many points."""
    scale = side / drawing.modules
    left, top = -drawing.start * scale, side + drawing.start * scale
    whole = math.ceil(side)
    lines = [
        "%!PS-Adobe-3.0 EPSF-3.0",
        f"%%BoundingBox: 0 0 {whole} {whole}",
        f"%%HiResBoundingBox: 0 0 {side:.4f} {side:.4f}",
        "%%LanguageLevel: 2",
        "%%EndComments",
        _PROLOGUE,
        # From modules, counted downwards, to points, counted upwards.
        f"gsave {left:.4f} {top:.4f} translate {scale:.5f} {-scale:.5f} scale",
    ]
    for colour, path in drawing.fills:
        ink = ink_of(colour)
        numbers = " ".join(f"{number:.4g}" for number in ink)
        lines += [f"{numbers} {_OPERATORS[len(ink)]}", *_postfix(path), "fill"]
    lines += ["grestore end showpage", "%%EOF", ""]
    return "\n".join(lines).encode()


def _postfix(path: str) -> list[str]:
    """Return lines with the commands of a path, each after its numbers."""
    words = [
        " ".join([*(f"{number:g}" for number in numbers), command])
        for command, numbers in commands(path)
    ]
    starts = range(0, len(words), _PER_LINE)
    return [" ".join(words[start : start + _PER_LINE]) for start in starts]


_BOX = re.compile(r"%%HiResBoundingBox: 0 0 (\S+) ")
_MATRIX = re.compile(r"gsave (\S+) \S+ translate (\S+) \S+ scale\n")
_FILL = re.compile(r"\n([\d. ]+) set\w+color\n(.*?)\nfill", re.DOTALL)
_COMMAND = re.compile(r"([-\d. ]*)([Mhvza])\s")


def read(file: bytes) -> Drawing:
    """Return the drawing in a file that `write` wrote; raises ValueError for others."""
    text = file.decode()
    box, matrix = _BOX.search(text), _MATRIX.search(text)
    if not box or not matrix:
        raise ValueError("an EPS file without a box or a scale")
    module = float(matrix[2])
    fills = [
        (of_ink([float(number) for number in ink.split()]), _infix(f"{postfix}\n"))
        for ink, postfix in _FILL.findall(text)
    ]
    start, modules = -float(matrix[1]) / module, float(box[1]) / module
    return Drawing(round(start), round(modules), fills)


def _infix(postfix: str) -> str:
    """Return the path with these commands."""
    return "".join(
        f"{f'{QUARTER} ' if command == 'a' else command}{numbers.strip()}"
        for numbers, command in _COMMAND.findall(postfix)
    )
