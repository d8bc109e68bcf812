"""`make readers`: which of our images seven readers do not read.

Readers are zxing-cpp, zbar, both of OpenCV's, and with node jsQR, ZXing's port to
JavaScript and npm's qr. First they read plain PNGs of 10 pixels a module, then every
shape in several sizes and colours.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import zxingcpp
from PIL import Image
from pyzbar import pyzbar
from qr_service.engine.images import render
from qr_service.engine.style import SHAPES, Gradient, Style
from qr_service.engine.symbol import encode

from benchmarks.npm import install
from benchmarks.readers.payloads import payloads
from local.project import ROOT

HERE = Path(__file__).parent
REPORT = ROOT / "docs/readers.md"
BATCH = 50  # files that one process reads
Found = dict[str, str | None]  # by reader

OPENCV = {
    "OpenCV": cv2.QRCodeDetector(),
    "OpenCV, aruco": cv2.QRCodeDetectorAruco(),
}
# The grid: sizes of a module in pixels, and inks from black to the brightest allowed.
SIZES = (4, 5, 6, 8, 10, 11, 12, 16)
INKS: dict[str, tuple[str, Gradient | None]] = {
    "black": ("#000000", None),
    "#5a5a5a": ("#5a5a5a", None),
    "#7e7e7e": ("#7e7e7e", None),
    "black to #7e7e7e, linear": ("#000000", Gradient("linear", "#7e7e7e")),
    "#7e7e7e to black, radial": ("#7e7e7e", Gradient("radial", "#000000")),
}
GRID_TEXTS = 5


def main() -> None:
    """Print the tables, and write them into docs/ if that is wanted."""
    parser = argparse.ArgumentParser("make readers", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="plain images (300)")
    parser.add_argument("--seed", type=int, default=1, help="of their texts (1)")
    parser.add_argument("--save", action="store_true", help="write docs/readers.md")
    options = parser.parse_args()
    script = install(HERE, "read.js")
    if not script:
        sys.exit("Three of the readers need node and npm: install Node 20 or newer.")
    texts = payloads(options.seed, options.count)
    found = judge([(text, Style()) for text in texts], script)
    read_by_all = [text for text, each in zip(texts, found, strict=True) if not each]
    some = [text for text in read_by_all if 2 <= encode(text).version <= 6]
    table = report(found, options.seed, list(grid(some[:GRID_TEXTS], script)))
    print(table)
    if options.save:
        REPORT.write_text(table)
        print(f"In {REPORT.relative_to(ROOT)}.")


def grid(texts: list[str], script: Path) -> Iterator[tuple[str, str, list[int]]]:
    """Yield shape, ink, and for each size how many images some reader does not read."""
    for shape, (name, (dark, gradient)) in product(SHAPES, INKS.items()):
        images = [
            (
                text,
                Style(shape=shape, module_size=size, dark=dark, gradient=gradient),
            )
            for size, text in product(SIZES, texts)
        ]
        unread = [bool(readers) for readers in judge(images, script)]
        count = len(texts)
        starts = range(0, len(unread), count)
        yield shape, name, [sum(unread[start : start + count]) for start in starts]


def judge(images: Sequence[tuple[str, Style]], script: Path) -> list[list[str]]:
    """Return for each text in a style the readers that do not read it."""
    unread = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            files = []
            for number, (text, style) in enumerate(batch):
                file = Path(folder) / f"{number}.png"
                file.write_bytes(render(encode(text), style).body)
                files.append(file)
            for (text, _), found in zip(batch, read(files, script), strict=True):
                unread.append([who for who, what in found.items() if what != text])
            print(f"  {start + len(batch)} of {len(images)}", file=sys.stderr)
    return unread


def read(files: list[Path], script: Path) -> Iterator[Found]:
    """Yield for each PNG file what each reader found."""
    node = ["node", str(script), *map(str, files)]
    done = subprocess.run(node, stdout=subprocess.PIPE, text=True, check=True)
    for file, line in zip(files, done.stdout.splitlines(), strict=True):
        with Image.open(file) as picture:
            pixels = picture.convert("L")
        ours = zxingcpp.read_barcodes(pixels)
        zbar = pyzbar.decode(pixels, symbols=[pyzbar.ZBarSymbol.QRCODE])
        found: Found = {
            "zxing-cpp": ours[0].text if len(ours) == 1 else None,
            "zbar": zbar[0].data.decode() if len(zbar) == 1 else None,
        }
        for name, detector in OPENCV.items():
            try:
                found[name] = detector.detectAndDecode(np.asarray(pixels))[0] or None
            except (cv2.error, UnicodeDecodeError):
                found[name] = None
        yield found | json.loads(line)


def report(
    unread: list[list[str]], seed: int, cells: list[tuple[str, str, list[int]]]
) -> str:
    """Return the page with both tables."""
    packages = json.loads((HERE / "package.json").read_text())["dependencies"]
    versions = {
        "zxing-cpp": version("zxing-cpp"),
        "zbar": f"pyzbar {version('pyzbar')}",
        **dict.fromkeys(OPENCV, cv2.__version__),
        "jsQR": packages["jsqr"],
        "ZXing-js": packages["@zxing/library"],
        "npm qr": packages["qr"],
    }
    counts = Counter(who for each in unread for who in each)
    by_any = sum(map(bool, unread))
    plain = "\n".join(f"| {who} | {n} | {counts[who]} |" for who, n in versions.items())
    rows = "\n".join(
        f"| {shape} | {ink} | {' | '.join(map(str, row))} |"
        for shape, ink, row in cells
    )
    return f"""\
# What other readers read

{datetime.now(UTC):%Y-%m-%d}, by `make readers COUNT={len(unread)} SAVE=1`: clean and
upright PNGs on white.

## {len(unread):,} plain codes

Texts of the kinds that people encode (seed {seed}), 10 pixels a module.

| reader | version | unread |
|---|---|---|
{plain}
| **any of them** | | {by_any} ({by_any / len(unread):.1%}) |

In what they do not read, a place looks like a finder pattern with every mask that is
tried, or a reader is mistaken in another way. `make readers SEED=7` reads 300 others.

## Shapes, sizes and colours

How many of {GRID_TEXTS} codes are not read by all seven, by the pixels of a module. All
seven read the plain codes of these texts. Colours go up to the brightest grey that is
accepted.

| shape | ink | {" | ".join(map(str, SIZES))} |
|---|---|{"---|" * len(SIZES)}
{rows}
"""


if __name__ == "__main__":
    main()
