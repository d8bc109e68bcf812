"""Text to symbol, to PNG and SVG, and back: the engine beside other libraries."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from qr_service.images import render
from qr_service.readback import read
from qr_service.style import Gradient, Style
from qr_service.symbol import Level, encode

from benchmarks.libraries import LIBRARIES, styled_png
from benchmarks.measure import OURS, Budget, Row, cpu_milliseconds, interleave

_PROSE = "the quick brown fox jumps over the lazy dog and goes on, "


def _text(size: int) -> str:
    return (_PROSE * size)[:size]


# Text, and the level to ask for: 2,900 bytes fit only at L.
PAYLOADS: Mapping[str, tuple[str, Level]] = {
    "20 B": ("https://example.com/", "M"),
    "60 B": ("https://tickets.example.com/autumn/entry?seat=b12&ref=abcdef", "M"),
    "150 B": (_text(150), "M"),
    "500 B": (_text(500), "M"),
    "1500 B": (_text(1500), "M"),
    "2900 B": (_text(2900), "L"),
    "500 digits": (("31415926535897932384" * 25), "M"),
    "500 capitals": (_text(500).upper().replace(",", "."), "M"),
}
STYLED = ("60 B", "500 B")

STYLES: Mapping[str, Style] = {
    "rounded": Style(shape="rounded"),
    "circle": Style(shape="circle"),
    "gapped": Style(shape="gapped"),
    "gradient": Style(gradient=Gradient("radial", "#000080")),
}
SVG = Style(format="svg")


def measure_engine(payloads: list[str], rounds: int) -> Iterator[Row]:
    """The rows of each payload."""
    for name in payloads:
        data, asked = PAYLOADS[name]
        level = encode(data, asked).level  # raised where that is free
        yield _symbols(name, data, level, rounds)
        yield from _pngs(name, data, level, rounds)
        yield from _svgs(name, data, level, rounds)
        yield _read_back(name, data, level, rounds)
        if name in STYLED:
            yield from _styled(name, data, level, rounds)


def _symbols(name: str, data: str, level: Level, rounds: int) -> Row:
    calls: dict[str, Callable[[], object]] = {OURS: lambda: encode(data, level)}
    for library, work in LIBRARIES.items():
        calls[library] = partial(work.encode, data, level)
    budget = Budget("times faster", 40, 80) if len(data) >= 150 else _SHORT_SYMBOL
    return Row("symbol", name, "ms", _timed(calls, rounds), "qrcode", budget)


_SHORT_SYMBOL = Budget("times faster", 20, 50)
_SHORT_PNG = Budget("times faster", 12, 30)


def _pngs(name: str, data: str, level: Level, rounds: int) -> Iterator[Row]:
    calls: dict[str, Callable[[], bytes]] = {
        OURS: lambda: render(encode(data, level)).body
    }
    for library, work in LIBRARIES.items():
        if work.png:
            calls[library] = partial(_both, work.encode, work.png, data, level)
    _check(data, calls)
    budget = Budget("times faster", 20, 30) if len(data) >= 150 else _SHORT_PNG
    yield Row("PNG", name, "ms", _timed(calls, rounds), "qrcode", budget)
    smaller = 0.85 if name == "60 B" else 1.0
    size = Budget("share", smaller, smaller)
    yield Row("PNG file", name, "bytes", _sizes(calls), "qrcode", size)


def _svgs(name: str, data: str, level: Level, rounds: int) -> Iterator[Row]:
    calls: dict[str, Callable[[], bytes]] = {
        OURS: lambda: render(encode(data, level), SVG).body
    }
    for library, work in LIBRARIES.items():
        if work.svg:
            calls[library] = partial(_both, work.encode, work.svg, data, level)
    yield Row("SVG", name, "ms", _timed(calls, rounds), "segno")
    size = Budget("share", 1.0, 1.0)
    yield Row("SVG file", name, "bytes", _sizes(calls), "segno", size)


def _styled(name: str, data: str, level: Level, rounds: int) -> Iterator[Row]:
    for look, style in STYLES.items():
        calls: dict[str, Callable[[], bytes]] = {
            OURS: partial(_drawn, data, level, style),
            "qrcode": partial(styled_png, data, level, look),
        }
        _check(data, calls)
        subject = f"{name}, {look}"
        yield Row("styled PNG", subject, "ms", _timed(calls, rounds), "qrcode")
        yield Row("styled PNG file", subject, "bytes", _sizes(calls), "qrcode")
