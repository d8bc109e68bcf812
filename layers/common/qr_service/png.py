"""PNG files of few colours, at one or four bits a pixel (ISO/IEC 15948).

A row of modules is one scan line, repeated; the compressor finds the repetition by
itself, so that no filter is used. Level 5 makes files smaller than those of the usual
libraries at half the time of level 6 (`make bench`).
"""

import struct
import zlib
from collections.abc import Iterable, Sequence

from qr_service.colours import TRANSPARENT, rgb

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREYSCALE, _INDEXED = 0, 3
_LEVEL = 5
_INVERTED = str.maketrans("01", "10")


def module_lines(
    rows: Sequence[str], module_size: int, border: int
) -> Iterable[tuple[str, int]]:
    """Lines of a picture of square modules: their pixels, and how often they repeat.

    A pixel is "1" where a module is dark, as in the symbol's rows.
    """
    wider = {ord("0"): "0" * module_size, ord("1"): "1" * module_size}
    margin = "0" * (border * module_size)
    blank = "0" * ((len(rows) + 2 * border) * module_size)
    yield blank, border * module_size
    for row in rows:
        yield f"{margin}{row.translate(wider)}{margin}", module_size
    yield blank, border * module_size


def two_colours(
    width: int, lines: Iterable[tuple[str, int]], dark: str, light: str
) -> bytes:
    """A PNG of one bit a pixel: "1" is dark, "0" light."""
    grey = (dark, light) == ("#000000", "#ffffff")  # needs no palette; 1 is white
    scan_lines = bytearray()
    size = -(-width // 8)
    for text, times in lines:
        pixels = text.translate(_INVERTED) if grey else text
        packed = int(pixels.ljust(8 * size, "0"), 2).to_bytes(size, "big")
        scan_lines += (b"\0" + packed) * times
    colours = b"" if grey else _palette([light, dark])
    return _file(width, 1, _GREYSCALE if grey else _INDEXED, colours, scan_lines)


def sixteen_shades(
    width: int, lines: Iterable[tuple[str, int]], dark: str, light: str
) -> bytes:
    """A PNG of four bits a pixel, hexadecimal digits: "0" is light, "f" dark."""
    scan_lines = bytearray()
    odd = "0" * (width % 2)
    for text, times in lines:
        scan_lines += (b"\0" + bytes.fromhex(text + odd)) * times
    return _file(width, 4, _INDEXED, _shades(dark, light), scan_lines)


def _shades(dark: str, light: str) -> bytes:
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
    width: int, depth: int, colour_type: int, colours: bytes, scan_lines: bytearray
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
