"""Text to symbol, to PNG and SVG, and back: the engine and other libraries."""

import random
import string
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import cycle
from typing import Any

from qr_service.engine.images import render
from qr_service.engine.readback import read
from qr_service.engine.style import Gradient, Style
from qr_service.engine.symbol import Level, encode

from benchmarks.libraries import LIBRARIES, read_by_zbar, segno_svg, styled_png
from benchmarks.measure import OURS, Budget, Row, cpu_milliseconds, interleave

SHORT = 150  # bytes; fixed costs matter more for shorter texts
_PATH = string.ascii_lowercase + string.digits + "/?=&-"


def _prose(size: int) -> str:
    return ("the quick brown fox jumps over the lazy dog, and " * size)[:size]


def texts(size: int, count: int = 12) -> list[str]:
    """Return texts of `size` bytes; how many masks are tried depends on the text."""
    rng = random.Random(size)  # noqa: S311
    words = _prose(300).split()
    if size < SHORT:
        paths = ("".join(rng.choices(_PATH, k=size)) for _ in range(count))
        return [f"https://e.example/{path}"[:size] for path in paths]
    return [" ".join(rng.choices(words, k=size))[:size] for _ in range(count)]


# Text, and the level to request: 2,900 bytes fit at L only.
PAYLOADS: Mapping[str, tuple[str, Level]] = {
    "20 B": ("https://example.com/", "M"),
    "60 B": ("https://tickets.example.com/autumn/entry?seat=b12&ref=abcdef", "M"),
    "150 B": (_prose(150), "M"),
    "500 B": (_prose(500), "M"),
    "1500 B": (_prose(1500), "M"),
    "2900 B": (_prose(2900), "L"),
    "500 digits": ("31415926535897932384" * 25, "M"),
    "500 capitals": (_prose(500).upper().replace(",", "."), "M"),
}
# How long a symbol takes depends on how many masks are tried: texts that take turns.
ALIKE: Mapping[str, list[str]] = {
    **{f"{size} B": texts(size) for size in (150, 500, 1500, 2900)},
    "500 capitals": [text.upper() for text in texts(500)],
}
QUICK = ("20 B", "60 B", "150 B")

PLAIN = Style()
SVG = Style(format="svg")
STYLED: Mapping[str, Style] = {
    "rounded": Style(shape="rounded"),
    "circle": Style(shape="circle"),
    "gapped": Style(shape="gapped"),
    "gradient": Style(gradient=Gradient("radial", "#000080")),
}
STYLED_PAYLOADS = ("60 B", "500 B")

SYMBOL, SHORT_SYMBOL = Budget("times faster", 40, 80), Budget("times faster", 20, 50)
PNG, SHORT_PNG = Budget("times faster", 20, 30), Budget("times faster", 12, 30)
NOT_LARGER, SMALLER_AT_60_B = Budget("share", 1.0, 1.0), Budget("share", 0.85, 0.85)
# Outlines need more bytes than segno's strokes, and leave no seams.
OUTLINES = Budget("share", 1.45, 1.2)


def measure_payload(name: str, rounds: int) -> Iterator[Row]:
    """Yield all rows of one payload."""
    data, requested = PAYLOADS[name]
    symbol = encode(data, requested)
    level = symbol.level  # raised if that is free; the same for all
    short = len(data) < SHORT

    def row(topic: str, calls: Mapping[str, Callable[[], object]], **more: Any) -> Row:
        measures = {who: cpu_milliseconds(call) for who, call in calls.items()}
        return Row(topic, name, "ms", interleave(measures, rounds), **more)

    def file_row(
        topic: str, calls: Mapping[str, Callable[[], bytes]], **more: Any
    ) -> Row:
        sizes = {who: len(call()) for who, call in calls.items()}
        return Row(topic, name, "bytes", sizes, **more)

    some = ALIKE.get(name, [data])
    symbols: dict[str, Callable[[], object]] = {OURS: _in_turn(encode, some, level)}
    pngs = {OURS: partial(_draw, data, level, PLAIN)}
    svgs = {OURS: partial(_draw, data, level, SVG)}
    for who, library in LIBRARIES.items():
        symbols[who] = _in_turn(library.encode, some, level)
        if library.png:
            pngs[who] = partial(library.draw, library.png, data, level)
        if library.svg:
            svgs[who] = partial(library.draw, library.svg, data, level)
    proofs = {
        who: partial(library.proof, data, level)
        for who, library in LIBRARIES.items()
        if library.proof
    }
    _check(data, {**pngs, **proofs})
    speed = SHORT_SYMBOL if short else SYMBOL
    yield row("symbol", symbols, rival="qrcode", budget=speed)
    speed = SHORT_PNG if short else PNG
    yield row("PNG", pngs, rival="qrcode", budget=speed)
    smaller = SMALLER_AT_60_B if name == "60 B" else NOT_LARGER
    yield file_row("PNG file", pngs, rival="qrcode", budget=smaller)
    yield row("SVG", svgs, rival="segno")
    # segno often picks another mask, which changes a file more than its writer does.
    svgs["segno"] = partial(segno_svg, data, level, symbol.mask)
    yield file_row("SVG file", svgs, rival="segno", budget=OUTLINES)

    body = pngs[OURS]()
    readers: dict[str, Callable[[], object]] = {
        OURS: partial(read, body),
        "zbar": partial(read_by_zbar, body),
    }
    yield row("read-back", readers, rival="zbar")

    for look, style in STYLED.items() if name in STYLED_PAYLOADS else ():
        styled = {
            OURS: partial(_draw, data, level, style),
            "qrcode": partial(styled_png, data, level, look),
        }
        _check(data, styled)
        yield row(f"{look} PNG", styled, rival="qrcode")
        yield file_row(f"{look} PNG file", styled, rival="qrcode")


def _in_turn(
    call: Callable[[str, Level], object], some: list[str], level: Level
) -> Callable[[], object]:
    turns = cycle(some)
    return lambda: call(next(turns), level)


def _draw(data: str, level: Level, style: Style) -> bytes:
    return render(encode(data, level), style).body


def _check(data: str, calls: Mapping[str, Callable[[], bytes]]) -> None:
    """Raise AssertionError unless every PNG holds the text."""
    for who, call in calls.items():
        reading = read(call())
        if reading is None or reading.payload != data.encode():
            raise AssertionError(f"the image by {who} does not read as {data[:20]}...")
