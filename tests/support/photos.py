"""How well photos of each style are read: a measured table, not a test.

    PYTHONPATH=layers/common sh local/venv.sh python -m tests.support.photos

Each cell is the share of 20 simulated photos that zxing-cpp / zbar read.
"""

import random
from io import BytesIO

import zxingcpp
from PIL import Image as Raster
from PIL import ImageFilter
from pyzbar import pyzbar
from qr_service.engine.images import render
from qr_service.engine.logo import place
from qr_service.engine.style import Gradient, Style
from qr_service.engine.symbol import encode

from tests.support.logos import disc
from tests.support.scanners import picture

TEXTS = 20
STYLES = {
    "square": Style(),
    "rounded": Style(shape="rounded"),
    "circle": Style(shape="circle"),
    "gapped": Style(shape="gapped"),
    "gradient": Style(dark="#0d47a1", gradient=Gradient("radial", "#7a0026")),
    "logo": Style(logo=disc()),
}
# Pixels per module, degrees of rotation, blur in modules, noise in shades of grey,
# JPEG quality.
PHOTOS = {
    "near": (6, 2, 0.2, 8, 85),
    "tilted": (6, 17, 0.2, 8, 85),
    "far": (1.8, 3, 0.2, 8, 85),
    "out of focus": (6, 3, 0.4, 8, 85),
    "dark room": (5, 3, 0.3, 15, 70),
    "a bit of all": (3, 9, 0.35, 10, 50),
}


def photo(clean, modules, conditions, rng):
    """Return a grey photo of a picture that is `modules` wide with its quiet zone."""
    scale, degrees, blur, noise, quality = conditions
    side = round(modules * scale)
    paper = Raster.new("L", (round(side * 1.5),) * 2, 215)
    shrunk = clean.resize((side, side), Raster.Resampling.BOX)
    start = (paper.width - side) // 2
    paper.paste(shrunk.point(lambda v: 30 + v * 185 // 255), (start, start))
    turned = paper.rotate(
        degrees * rng.uniform(0.8, 1.2), Raster.Resampling.BICUBIC, fillcolor=215
    )
    soft = turned.filter(ImageFilter.GaussianBlur(blur * scale))
    grain = bytes(
        min(255, max(0, round(rng.gauss(value, noise)))) for value in soft.tobytes()
    )
    file = BytesIO()
    Raster.frombytes("L", soft.size, grain).save(file, "JPEG", quality=quality)
    return Raster.open(file).convert("L")


def text(seed):
    rng = random.Random(seed)
    return "https://example.com/" + "".join(rng.choices("abcdef0123456789", k=20))


def shares(style, conditions):
    """Return the shares of the photos that zxing-cpp and zbar read, 0..1."""
    read = [0, 0]
    for seed in range(TEXTS):
        data = text(seed).encode()
        drawn, symbol = style, encode(text(seed))
        if style.logo:
            symbol, size = place(text(seed), "M", None)
            drawn = Style(logo=style.logo, logo_size=size)
        modules = symbol.size + 2 * drawn.border
        clean = picture(render(symbol, drawn).body)
        seen = photo(clean, modules, conditions, random.Random(seed))
        one = zxingcpp.read_barcodes(seen, formats=zxingcpp.BarcodeFormat.QRCode)
        other = pyzbar.decode(seen, [pyzbar.ZBarSymbol.QRCODE])
        read[0] += [found.bytes for found in one] == [data]
        read[1] += [found.data for found in other] == [data]
    return [count / TEXTS for count in read]


def table():
    """Yield the lines of the table, in Markdown."""
    yield f"| photo | {' | '.join(STYLES)} |"
    yield "|---" * (len(STYLES) + 1) + "|"
    for name, conditions in PHOTOS.items():
        cells = (shares(style, conditions) for style in STYLES.values())
        found = " | ".join(f"{one:.0%} / {other:.0%}" for one, other in cells)
        yield f"| {name} | {found} |"


if __name__ == "__main__":
    for line in table():
        print(line)  # noqa: T201  the command's only purpose
