"""PDF: one square page with filled paths (ISO 32000-1); and back.

There is no date and no identifier in the file: equal input produces equal bytes.
"""

import re
from collections.abc import Iterator

from zlib_ng import zlib_ng

from qr_service.engine.colours import ink_of, of_ink
from qr_service.engine.paths import QUARTER, Drawing, commands

_LEVEL = 9
# Bytes over 127 in the second line say that the file is not text (7.5.2).
_HEADER = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
_OPERATORS = {4: "k", 3: "rg"}  # 8.6.8: colours for filling, by their numbers
_KAPPA = 0.5523  # share of a quarter's radius from its end to its Bezier control point


def write(drawing: Drawing, side: float) -> bytes:
    """Return the PDF file of a drawing; its page has a side of so many points."""
    scale = side / drawing.modules
    left, top = -drawing.start * scale, side + drawing.start * scale
    # From modules, counted downwards, to points, counted upwards (8.3.4).
    content = [f"{scale:.5f} 0 0 {-scale:.5f} {left:.4f} {top:.4f} cm"]
    for colour, path in drawing.fills:
        ink = ink_of(colour)
        numbers = " ".join(f"{number:.4g}" for number in ink)
        content += [f"{numbers} {_OPERATORS[len(ink)]}", *_operators(path), "f"]
    return _file(f"{side:.4f}", zlib_ng.compress("\n".join(content).encode(), _LEVEL))


def _file(side: str, content: bytes) -> bytes:
    """Return catalogue, pages, the page and its content, with their offsets (7.5)."""
    box = f"[0 0 {side} {side}]"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox{box}/TrimBox{box}/Resources<<>>"
        "/Contents 4 0 R>>".encode(),
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream"
        % (len(content), content),
    )
    file, table = bytearray(_HEADER), b"0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(file)
        file += b"%d 0 obj%b\nendobj\n" % (number, body)
    count = len(objects) + 1
    start = len(file)
    file += b"xref\n0 %d\n%b" % (count, table)
    file += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n" % (count, start)
    return bytes(file + b"%%EOF\n")


def _operators(path: str) -> Iterator[str]:
    """Yield the operators that construct a path (8.5.2); the filling closes it."""
    x = y = 0.0
    for command, numbers in commands(path):
        match command:
            case "M":
                x, y = numbers
                yield f"{x:g} {y:g} m"
            case "h":
                x += numbers[0]
                yield f"{x:g} {y:g} l"
            case "v":
                y += numbers[0]
                yield f"{x:g} {y:g} l"
            case "z":
                yield "h"
            case _:
                right, down = numbers
                end = x + right, y + down
                if right * down < 0:  # it leaves upwards or downwards
                    points = (x, y + _KAPPA * down, end[0] - _KAPPA * right, end[1])
                else:
                    points = (x + _KAPPA * right, y, end[0], end[1] - _KAPPA * down)
                x, y = end
                yield " ".join(f"{number:.6g}" for number in (*points, x, y)) + " c"


_STREAM = re.compile(rb"stream\n(.*)\nendstream", re.DOTALL)
_PAGE = re.compile(rb"/MediaBox\[0 0 (\S+) ")
_MATRIX = re.compile(r"(\S+) 0 0 \S+ (\S+) \S+ cm\n")
_FILL = re.compile(r"([\d. ]+) (?:k|rg)\n(.*?)\nf", re.DOTALL)
_OPERATOR = re.compile(r"([-\d. ]*)([mlch])")


def read(file: bytes) -> Drawing:
    """Return the drawing in a file that `write` wrote; raises ValueError for others."""
    page, stream = _PAGE.search(file), _STREAM.search(file)
    content = zlib_ng.decompress(stream[1]).decode() if stream else ""
    matrix = _MATRIX.match(content)
    if not page or not matrix:
        raise ValueError("a PDF without a page or a matrix")
    module = float(matrix[1])
    fills = [
        (of_ink([float(number) for number in ink.split()]), _path(operators))
        for ink, operators in _FILL.findall(content)
    ]
    start, modules = -float(matrix[2]) / module, float(page[1]) / module
    return Drawing(round(start), round(modules), fills)


def _path(operators: str) -> str:
    """Return the path that these operators construct."""
    path = []
    x = y = 0.0
    for numbers, operator in _OPERATOR.findall(operators):
        if operator == "h":
            path.append("z")
            continue
        *_, end_x, end_y = (float(number) for number in numbers.split())
        right, down = end_x - x, end_y - y
        x, y = end_x, end_y
        match operator:
            case "m":
                path.append(f"M{x:g} {y:g}")
            case "c":
                path.append(f"{QUARTER} {right:g} {down:g}")
            case _:
                path.append(f"h{right:g}" if right else f"v{down:g}")
    return "".join(path)
