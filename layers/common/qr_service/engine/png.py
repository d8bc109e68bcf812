"""PNG files with few colours, at one, four or eight bits (ISO/IEC 15948).

A row of square modules is one scan line, repeated. The compressor finds the repetition
without a filter, and compresses worse with one. Lines of shaped modules repeat less
regularly: there the filter Up marks lines that equal the one above. zlib-ng produces
smaller files than the usual libraries, in half of zlib's time (`make bench`).
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from PIL import Image, ImageChops
from zlib_ng import zlib_ng

from qr_service.engine.colours import rgb
from qr_service.engine.layout import Layout

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREYSCALE, _COLOUR, _INDEXED, _GREYSCALE_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_LEVEL = 6
# Hexadecimal digits as bytes: 0 is 0, f is 255.
HEX_SHADES = bytes(
    17 * int(chr(code), 16) if chr(code) in "0123456789abcdef" else 0
    for code in range(256)
)


def two_colours(rows: Sequence[str], layout: Layout, dark: str, light: str) -> bytes:
    """Return a PNG of square modules at one bit per pixel."""
    grey = (dark, light) == ("#000000", "#ffffff")  # needs no palette; 1 is white
    times, margin = layout.module_size, layout.margin
    size = -(-layout.width // 8)  # bytes of a line
    packed = -(-len(rows) // 8)  # bytes of a row, at one bit per module
    # The bits to the right of the symbol: the quiet zone, and those that fill a byte.
    shift = 8 * size - margin - len(rows) * times
    inverted = (1 << 8 * size) - 1 if grey else 0
    wider = _wider(times)

    def line(row: int) -> bytes:
        parts = b"".join([wider[byte] for byte in row.to_bytes(packed, "big")])
        pixels = int.from_bytes(parts, "big") << shift ^ inverted
        return pixels.to_bytes(1 + size, "big")  # the first byte: no filter

    blank = line(0) * margin
    middle = [line(int(row, 2)) * times for row in rows]
    palette = _chunk(b"PLTE", bytes(rgb(light)) + bytes(rgb(dark)))
    colours = b"" if grey else palette
    pixels = b"".join((blank, *middle, blank))
    return _file(layout, 1, _GREYSCALE if grey else _INDEXED, colours, pixels)


@cache
def _wider(module_size: int) -> list[bytes]:
    """Return, for each byte of 8 modules, the `module_size` bytes of its pixels."""
    pixels = ("0" * module_size, "1" * module_size)
    return [
        int("".join(pixels[int(bit)] for bit in f"{byte:08b}"), 2).to_bytes(
            module_size, "big"
        )
        for byte in range(256)
    ]


def sixteen_shades(
    layout: Layout, lines: Iterable[tuple[str, int]], dark: str, light: str
) -> bytes:
    """Return a PNG of the 16 shades from light, 0, to dark, f, at four bits per pixel.

    Lines are texts of hexadecimal digits, each with its number of repetitions.
    """
    odd = "0" * (layout.width % 2)
    mixed = (
        round(at_light + (at_dark - at_light) * shade / 15)
        for shade in range(16)
        for at_dark, at_light in zip(rgb(dark), rgb(light), strict=True)
    )
    scan_lines = _scan_lines(lines, lambda text: bytes.fromhex(text + odd))
    return _file(layout, 4, _INDEXED, _chunk(b"PLTE", bytes(mixed)), scan_lines)


def on_transparent(
    layout: Layout, lines: Iterable[tuple[str, int]], dark: str
) -> bytes:
    """Return a PNG of one colour, in 16 degrees of opacity from 0 to f.

    A channel has eight bits, since programs that make PDFs show nothing of a palette
    with transparency. Lines are as those of `sixteen_shades`.
    """
    colour = bytes(rgb(dark))
    grey = len(set(colour)) == 1
    if grey:
        colour = colour[:1]
    channels = len(colour) + 1
    pixels = bytearray((colour + b"\0") * layout.width)

    def line(text: str) -> bytes:
        pixels[channels - 1 :: channels] = text.encode().translate(HEX_SHADES)
        return bytes(pixels)

    colour_type = _GREYSCALE_ALPHA if grey else _COLOUR_ALPHA
    return _file(layout, 8, colour_type, b"", _scan_lines(lines, line))


def blended(layout: Layout, picture: Image.Image) -> bytes:
    """Return a PNG of a square RGB or RGBA picture."""
    colour_type = _COLOUR if picture.mode == "RGB" else _COLOUR_ALPHA
    return _file(layout, 8, colour_type, b"", _differences(picture))


def indexed(layout: Layout, picture: Image.Image, palette: bytes) -> bytes:
    """Return a PNG of a square picture of indexes into a palette, 3 bytes a colour."""
    chunk = _chunk(b"PLTE", palette)
    return _file(layout, 8, _INDEXED, chunk, _differences(picture))


def _differences(picture: Image.Image) -> bytes:
    """Return scan lines that all have the filter Up.

    Most pixels almost equal the one above. Pillow would try every filter on every line,
    which takes twice the time.
    """
    above = Image.new(picture.mode, picture.size)
    above.paste(picture, (0, 1))
    pixels = ImageChops.subtract_modulo(picture, above).tobytes()
    size = len(pixels) // picture.height  # bytes of a line
    starts = range(0, len(pixels), size)
    return b"".join([b"\2" + pixels[start : start + size] for start in starts])


def _scan_lines(
    lines: Iterable[tuple[str, int]], packed: Callable[[str], bytes]
) -> bytearray:
    """Return scan lines; one that equals the line above has the filter Up."""
    scan_lines = bytearray()
    previous, as_above = None, b""
    for text, times in lines:
        if text == previous:
            scan_lines += as_above * times
        else:
            line = packed(text)
            as_above = b"\2" + bytes(len(line))  # no difference
            scan_lines += b"\0" + line + as_above * (times - 1)
        previous = text
    return scan_lines


def _file(
    layout: Layout,
    depth: int,
    colour_type: int,
    colours: bytes,
    scan_lines: bytes | bytearray,
) -> bytes:
    width = layout.width
    header = struct.pack(">IIBBBBB", width, width, depth, colour_type, 0, 0, 0)
    pixels = zlib_ng.compress(scan_lines, _LEVEL)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            colours,
            _density(layout),
            _chunk(b"IDAT", pixels),
            _chunk(b"IEND", b""),
        )
    )


def _density(layout: Layout) -> bytes:
    """Return the chunk with pixels per metre, if the image has a printed size."""
    if layout.width_mm is None:
        return b""
    density = round(layout.width * 1000 / layout.width_mm)
    return _chunk(b"pHYs", struct.pack(">IIB", density, density, 1))


def _chunk(name: bytes, body: bytes) -> bytes:
    check = zlib_ng.crc32(body, zlib_ng.crc32(name))
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)
