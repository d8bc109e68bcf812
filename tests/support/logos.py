"""Logos: usual, unusual and hostile files, and random requests that contain one."""

import base64
import random
import struct
import zlib
from io import BytesIO
from string import ascii_lowercase, digits

from PIL import Image as Raster
from PIL import ImageCms, ImageDraw
from qr_service.engine.images import render
from qr_service.engine.style import BLENDED_FORMATS, SHAPES, Style
from qr_service.engine.symbol import LEVELS, encode

from tests.support.requests import request

SIDE = 64


def file(picture, kind="PNG", **options):
    body = BytesIO()
    picture.save(body, kind, **options)
    return body.getvalue()


def data_url(body, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"


def letter():
    """Return a dark letter on white, the most common kind of logo."""
    picture = Raster.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(picture)
    for box in ((10, 10, 20, 54), (20, 10, 50, 20), (20, 28, 40, 36)):
        draw.rectangle(box, fill="navy")
    return file(picture)


def disc():
    """Return a coloured disc without a background."""
    picture = Raster.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((0, 0, SIDE - 1, SIDE - 1), fill="#c01020")
    return file(picture)


def ring():
    picture = Raster.new("RGB", (SIDE, SIDE), "white")
    ImageDraw.Draw(picture).ellipse((4, 4, 60, 60), outline="black", width=8)
    return file(picture)


def black():
    return file(Raster.new("L", (SIDE, SIDE), 0))


def blank():
    return file(Raster.new("L", (SIDE, SIDE), 255))


def blocks(seed=0):
    """Return a wide picture of random rectangles, the worst logo for a scanner."""
    rng = random.Random(seed)
    picture = Raster.new("RGB", (100, 40), rng.choice(["white", "black"]))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        left, top = rng.randrange(90), rng.randrange(35)
        box = (left, top, left + rng.randrange(60), top + rng.randrange(30))
        draw.rectangle(box, fill=rng.choice(["black", "white", "red", "blue", "gray"]))
    return file(picture)


def photo():
    return file(Raster.effect_noise((SIDE, SIDE), 90).convert("RGB"), "JPEG")


def qr_code():
    """Return a logo that is itself a QR code."""
    return render(encode("other", "L"), Style(module_size=4)).body


LOGOS = {
    each.__name__: each() for each in (letter, disc, ring, black, blank, blocks, photo)
}


def random_request(seed):
    """Return a request with a logo; the seed selects text, level, style and size."""
    rng = random.Random(seed)
    alphabet = rng.choice([digits, f"{ascii_lowercase}:/.", "ABC123"])
    longest = rng.choice([60, 300, 2900])
    data = "".join(rng.choices(alphabet, k=rng.randint(1, longest)))
    shape = rng.choice(["square", *SHAPES])  # "square" twice as often as the others
    style = Style(
        format=rng.choice(BLENDED_FORMATS),
        module_size=rng.choice([4, 5, 10]),
        shape=shape,
        light=rng.choice(["#ffffff", "transparent"]),
        logo=LOGOS[rng.choice(sorted(LOGOS))],
        logo_size=rng.choice([None, round(rng.uniform(0.05, 0.243), 3)]),
    )
    return request(data, rng.choice(LEVELS), style)


def png(width, height, *chunks):
    """Return a grey PNG that declares this size; `chunks` hold its actual pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def hostile():
    """Return files that must be refused, by reason, each with its media type."""
    noise = Raster.effect_noise((200, 200), 50)
    red = Raster.new("RGB", (50, 50), "red")
    zeros = zlib.compress(bytes(40_000_000), 9)
    pixels = (b"IDAT", zlib.compress(bytes(11 * 10)))
    return {
        "a bomb of 4 billion pixels": (png(65535, 65535, pixels), "png"),
        "a bomb of 100 million pixels": (png(10_000, 10_000, pixels), "png"),
        "a bit more than a megapixel": (file(Raster.new("L", (1001, 1000))), "png"),
        "40 MB of colour profile": (
            png(10, 10, (b"iCCP", b"a\0\0" + zeros), pixels),
            "png",
        ),
        "no pixels": (png(0, 0, pixels), "png"),
        "transparent": (file(Raster.new("RGBA", (50, 50), (255, 0, 0, 0))), "png"),
        "almost transparent": (file(Raster.new("LA", (50, 50), (0, 20))), "png"),
        "fewer pixels than declared": (png(100, 100, pixels), "png"),
        "a truncated png": (file(noise)[:3000], "png"),
        "a truncated jpeg": (file(noise, "JPEG")[:3000], "jpeg"),
        "a gif declared as a png": (file(red, "GIF"), "png"),
        "a jpeg declared as a png": (file(red, "JPEG"), "png"),
        "an svg declared as a png": (b"<svg xmlns='x'/>", "png"),
        "one byte too many": (bytes(64 * 1024 + 1), "png"),
    }


def unusual():
    """Return valid files of unusual kinds, each with its media type."""
    red = Raster.new("RGB", (50, 50), "red")
    blue = Raster.new("RGB", (50, 50), "blue")
    comment = (b"zTXt", b"a\0\0" + zlib.compress(bytes(40_000_000), 9))
    grey = (b"IDAT", zlib.compress(bytes(11 * 10)))
    return {
        "40 MB in a comment": (png(10, 10, comment, grey), "png"),
        "called jpg": (file(red, "JPEG"), "jpg"),
        "animated": (file(red, save_all=True, append_images=[blue]), "png"),
        "cmyk": (file(red.convert("CMYK"), "JPEG"), "jpeg"),
        "palette": (file(red.convert("P"), transparency=0), "png"),
        "one bit": (file(red.convert("1")), "png"),
        "sixteen bits": (file(Raster.new("I;16", (50, 50), 30_000)), "png"),
        "grey with alpha": (file(Raster.new("LA", (50, 50), (90, 40))), "png"),
        "one pixel": (file(Raster.new("RGB", (1, 1))), "png"),
        "a line": (file(Raster.new("RGB", (1000, 1))), "png"),
        "a column": (file(Raster.new("RGB", (1, 1000))), "png"),
        "a megapixel": (file(Raster.new("L", (1000, 1000))), "png"),
    }


def steep_profile():
    """Return the profile of sRGB with the curves of gamma 4 (ICC.1:2022, 10.6)."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 4 << 8) + bytes(2)
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = bytearray(profile[132 : 132 + 12 * count])
    for place in range(0, len(tags), 12):
        if tags[place : place + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">II", tags, place + 4, len(profile), 14)
    body = profile[:132] + bytes(tags) + profile[132 + 12 * count :] + curve
    return struct.pack(">I", len(body)) + body[4:]


def checked(body, kind):
    """Return a damaged PNG with the checksums of what it holds now."""
    if kind != "png":
        return body
    parts, start = [body[:8]], 8
    while start + 12 <= len(body):
        (length,) = struct.unpack_from(">I", body, start)
        chunk = body[start + 4 : start + 8 + length]
        check = struct.pack(">I", zlib.crc32(chunk))
        parts += [body[start : start + 4], chunk, check]
        start += 12 + length
    return b"".join(parts)
