"""python -m benchmarks.draw CONTENDER KIND LEVEL COUNT TEXT...: draws COUNT codes.

The texts take turns. A KIND is symbol, PNG or "proven PNG". The last PNG, if any, goes
to standard output. The engine is that of PYTHONPATH, which may be of an older commit.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle, islice
from typing import Any

from benchmarks.measure import OURS


def main() -> None:
    """Draw what the arguments say."""
    contender, kind, level, count, *texts = sys.argv[1:]
    calls = ours() if contender == OURS else library(contender)
    call = calls[kind]
    for text in islice(cycle(texts), int(count)):
        last = call(text, level)
    if kind != "symbol":
        sys.stdout.buffer.write(last)


def library(name: str) -> dict[str, Callable[[str, Any], Any]]:
    """Return what a library draws, by kind."""
    from benchmarks.libraries import LIBRARIES  # noqa: PLC0415  it imports all of them

    found = LIBRARIES[name]
    png = found.png
    calls: dict[str, Callable[[str, Any], Any]] = {"symbol": found.encode}
    if png:
        calls["PNG"] = lambda text, level: found.draw(png, text, level)
    return calls


def ours() -> dict[str, Callable[[str, Any], Any]]:
    """Return what the engine draws, by kind."""
    package = "qr_service.engine"
    if not find_spec(package):
        package = "qr_service"  # before 1.1
    images, readback, symbol = (
        import_module(f"{package}.{name}") for name in ("images", "readback", "symbol")
    )

    def png(text: str, level: Any) -> Any:
        return images.render(symbol.encode(text, level)).body

    def proven(text: str, level: Any) -> Any:
        image = images.render(symbol.encode(text, level))
        readback.verify(image, text)
        return image.body

    return {"symbol": symbol.encode, "PNG": png, "proven PNG": proven}


if __name__ == "__main__":
    main()
