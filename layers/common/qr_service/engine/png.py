"""PNG files with few colours, at one or four bits per pixel (ISO/IEC 15948).

A row of square modules is one scan line, repeated. The compressor finds the repetition
without a filter, and compresses worse with one. Lines of shaped modules repeat less
regularly: there the filter Up marks lines that equal the one above. Level 5 produces
smaller files than the usual libraries, in half the time of level 6 (`make bench`).
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from functools import cache

from qr_service.engine.colours import TRANSPARENT, rgb

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREYSCALE, _INDEXED = 0, 3
_LEVEL = 5


def two_colours(
    rows: Sequence[str], module_size: int, border: int, dark: str, light: str
) -> bytes:
    """Return a PNG of square modules at one bit per pixel."""
    grey = (dark, light) == ("#000000", "#ffffff")  # needs no palette; 1 is white
    modules = len(rows) + 2 * border
    width = modules * module_size
    size = -(-width // 8)  # bytes of a line
    packed = -(-modules // 8)  # bytes of a row, at one bit per module
    shift = 8 * packed - modules + border
    inverted = (1 << 8 * packed) - 1 if grey else 0
    wider = _wider(module_size)

    def line(row: int) -> bytes:
        parts = [wider[byte] for byte in (row ^ inverted).to_bytes(packed, "big")]
        return b"\0" + b"".join(parts)[:size]

    blank = line(0) * (border * module_size)
    middle = [line(int(row, 2) << shift) * module_size for row in rows]
    colours = b"" if grey else _palette([light, dark])
    pixels = b"".join((blank, *middle, blank))
    return _file(width, 1, _GREYSCALE if grey else _INDEXED, colours, pixels)


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
    width: int, lines: Iterable[tuple[str, int]], colours: bytes
) -> bytes:
    """Return a PNG of four bits per pixel from lines of hexadecimal digits.

    Each line comes with its number of repetitions. `colours` are the chunks that
    `shades` returns.
    """
    scan_lines = bytearray()
    odd = "0" * (width % 2)
    as_above = b"\2" + bytes(-(-width // 2))  # filter type Up, no difference
    previous = ""
    for text, times in lines:
        if text == previous:
            scan_lines += as_above * times
        else:
            scan_lines += b"\0" + bytes.fromhex(text + odd) + as_above * (times - 1)
        previous = text
    return _file(width, 4, _INDEXED, colours, scan_lines)


def shades(dark: str, light: str) -> bytes:
    """Return the colour chunks of 16 shades from light, 0, to dark, 15."""
    if light == TRANSPARENT:
        alpha = bytes(17 * shade for shade in range(16))
        return _chunk(b"PLTE", bytes(rgb(dark)) * 16) + _chunk(b"tRNS", alpha)
    mixed = (
        round(at_light + (at_dark - at_light) * shade / 15)
        for shade in range(16)
        for at_dark, at_light in zip(rgb(dark), rgb(light), strict=True)
    )
    return _chunk(b"PLTE", bytes(mixed))


def _palette(colours: Sequence[str]) -> bytes:
    chunk = _chunk(b"PLTE", b"".join(bytes(rgb(colour)) for colour in colours))
    if TRANSPARENT in colours:
        alpha = bytes(0 if colour == TRANSPARENT else 255 for colour in colours)
        chunk += _chunk(b"tRNS", alpha.rstrip(b"\xff"))
    return chunk


def _file(
    width: int,
    depth: int,
    colour_type: int,
    colours: bytes,
    scan_lines: bytes | bytearray,
) -> bytes:
    header = struct.pack(">IIBBBBB", width, width, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(scan_lines, _LEVEL)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            colours,
            _chunk(b"IDAT", pixels),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    check = zlib.crc32(body, zlib.crc32(name))
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)
