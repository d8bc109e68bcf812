"""Damaged pictures, and what the two ways to read them back say."""

import random
from io import BytesIO

from PIL import Image as Raster
from PIL import ImageDraw
from qr_service.engine.images import render
from qr_service.engine.readback import MIN_MARGIN, MIN_QUIET_ZONE, read
from qr_service.engine.style import SHAPES, Gradient, Style
from qr_service.engine.symbol import LEVELS, encode


def equal_verdict(seed):
    """Return the verdict on a damaged picture, which the smaller one must share."""
    data, body, module_size = damaged(seed)
    fast, full = (verdict(read(body, size), data) for size in (module_size, 1))
    assert fast == full, seed
    return full


def verdict(reading, data):
    return (
        reading is not None
        and reading.payload == data.encode()
        and reading.margin >= MIN_MARGIN
        and reading.quiet_zone >= MIN_QUIET_ZONE
    )


def damaged(seed):
    """Return a text and a PNG of it with damage, of any style, and its module size."""
    rng = random.Random(seed)
    data = "".join(rng.choices("abcABC0123 /:é", k=rng.choice([5, 30, 120, 500])))
    style = Style(
        module_size=rng.choice([5, 6, 8, 9, 10, 12, 16, 20]),
        border=rng.choice([2, 4]),
        dark=rng.choice(["#000000", "#1a237e", "#5d4037"]),
        light=rng.choice(["#ffffff", "#fff8e7", "transparent"]),
        shape=rng.choice(["square", "square", "square", *SHAPES]),
        gradient=rng.choice([None, None, None, Gradient("radial", "#7a0026")]),
    )
    body = render(encode(data, rng.choice(LEVELS)), style).body
    picture = Raster.open(BytesIO(body))
    draw = ImageDraw.Draw(picture)
    inks = {"1": (0, 1), "P": (0, 1), "L": (0, 255), "LA": ((0, 0), (0, 255))}
    colours = inks.get(picture.mode, ((0, 0, 0), (255, 255, 255)))
    if picture.mode == "RGBA":
        colours = ((0, 0, 0, 255), (255, 255, 255, 255))
    for _ in range(rng.choice([0, 1, 2, 5, 40, 300])):
        x, y = rng.randrange(picture.width), rng.randrange(picture.width)
        side = rng.choice([1, 1, 2, style.module_size, 3 * style.module_size])
        draw.rectangle((x, y, x + side - 1, y + side - 1), fill=rng.choice(colours))
    file = BytesIO()
    picture.save(file, "PNG")
    return data, file.getvalue(), style.module_size
