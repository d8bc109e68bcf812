"""`make readers`: how many of our images each of seven readers does not read.

Readers are zxing-cpp, zbar, both of OpenCV's, and with node jsQR, ZXing's port to
JavaScript and npm's qr. Images are plain PNGs of 10 pixels a module.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import copy, which

import zxingcpp
from PIL import Image
from pyzbar import pyzbar
from qr_service.engine.images import render
from qr_service.engine.symbol import encode

from benchmarks.readers.payloads import payloads
from local.project import ROOT

HERE = Path(__file__).parent
REPORT = ROOT / "docs/readers.md"
NODE = Path(f"{sys.prefix}-readers-node")
BATCH = 50  # files that one process reads
Found = dict[str, str | None]  # by reader


def main() -> None:
    """Print the table, and write it into docs/ if that is wanted."""
    parser = argparse.ArgumentParser("make readers", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="images (300)")
    parser.add_argument("--seed", type=int, default=1, help="of their texts (1)")
    parser.add_argument("--save", action="store_true", help="write docs/readers.md")
    options = parser.parse_args()
    if not which("npm"):
        sys.exit("Three of the readers need node and npm: install Node 20 or newer.")
    install()
    texts = payloads(options.seed, options.count)
    unread, unread_by_any = judge(texts)
    table = report(texts, unread, unread_by_any, options.seed)
    print(table)
    if options.save:
        REPORT.write_text(table)
        print(f"In {REPORT.relative_to(ROOT)}.")


def install() -> None:
    """Install what read.js uses beside the virtual environments, and read.js itself."""
    NODE.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", "read.js"):
        copy(HERE / name, NODE)
    npm = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=NODE, check=True)


def judge(texts: list[str]) -> tuple[Counter[str], int]:
    """Return how many images each reader does not read, and how many any does not."""
    unread: Counter[str] = Counter()
    unread_by_any = 0
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            files = []
            for number, text in enumerate(batch):
                file = Path(folder) / f"{number}.png"
                file.write_bytes(render(encode(text)).body)
                files.append(str(file))
            for text, found in zip(batch, read(files), strict=True):
                for reader, what in found.items():
                    unread[reader] += what != text
                unread_by_any += any(what != text for what in found.values())
            print(f"  {start + len(batch)} of {len(texts)}", file=sys.stderr)
    return unread, unread_by_any


def read(files: list[str]) -> list[Found]:
    """Return for each PNG file what each reader found."""
    opencv = [f"{sys.prefix}-readers/bin/python", str(HERE / "read_opencv.py")]
    others = [
        lines([*opencv, *files]),
        lines(["node", str(NODE / "read.js"), *files]),
    ]
    found = []
    for file, *more in zip(files, *others, strict=True):
        with Image.open(file) as picture:
            pixels = picture.convert("L")
        ours = zxingcpp.read_barcodes(pixels)
        zbar = pyzbar.decode(pixels, symbols=[pyzbar.ZBarSymbol.QRCODE])
        each: Found = {
            "zxing-cpp": ours[0].bytes.decode() if len(ours) == 1 else None,
            "zbar": zbar[0].data.decode() if len(zbar) == 1 else None,
        }
        for result in more:
            each |= result
        found.append(each)
    return found


def lines(command: list[str]) -> list[Found]:
    """Return the lines of JSON that a reader prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def report(
    texts: list[str], unread: Counter[str], unread_by_any: int, seed: int
) -> str:
    """Return the page with the table."""
    packages = json.loads((HERE / "package.json").read_text())["dependencies"]
    versions = {
        "zxing-cpp": version("zxing-cpp"),
        "zbar": f"pyzbar {version('pyzbar')}",
        "jsQR": packages["jsqr"],
        "ZXing-js": packages["@zxing/library"],
        "npm qr": packages["qr"],
    }
    rows = [
        f"| {reader} | {versions.get(reader, opencv_version())} | {count} |"
        for reader, count in unread.items()
    ]
    share = unread_by_any / len(texts)
    return "\n".join(
        [
            "# What other readers read",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}: {len(texts)} texts of the kinds that",
            f"people encode (seed {seed}), as PNGs of 10 pixels a module, clean and",
            "upright. `make readers SAVE=1` measures it again and writes this page.",
            "",
            "| reader | version | unread |",
            "|---|---|---|",
            *rows,
            f"| **any of them** | | {unread_by_any} ({share:.1%}) |",
            "",
        ]
    )


def opencv_version() -> str:
    """Return the version of OpenCV, which has an environment of its own."""
    program = "import cv2; print(cv2.__version__)"
    command = [f"{sys.prefix}-readers/bin/python", "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
