"""Colours as requests write them: `#rrggbb`, or `transparent`."""

from collections.abc import Sequence

TRANSPARENT = "transparent"


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0..255 each; `transparent` counts as white paper."""
    if colour == TRANSPARENT:
        return 255, 255, 255
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def reflectance(colour: str) -> float:
    """Return relative luminance 0..1 (IEC 61966-2-1), as a scanner's sensor sees it."""
    red, green, blue = (_linear(value / 255) for value in rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def luma(colour: str) -> float:
    """Return the brightness 0..255 by which readers make grey (ITU-R BT.601)."""
    red, green, blue = rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def ink_of(colour: str) -> tuple[float, ...]:
    """Return a colour as it is printed, each number 0..1.

    Black and white are cyan, magenta, yellow and black: black is printed with black ink
    alone, not with four inks that would have to meet exactly. Others are red, green and
    blue.
    """
    match colour:
        case "#000000":
            return 0, 0, 0, 1
        case "#ffffff":
            return 0, 0, 0, 0
    return tuple(channel / 255 for channel in rgb(colour))


def of_ink(numbers: Sequence[float]) -> str:
    """Return the colour that `ink_of` gives these numbers; raises ValueError."""
    match tuple(numbers):
        case (0, 0, 0, black) if black in {0, 1}:
            return "#ffffff" if black == 0 else "#000000"
        case (_, _, _):
            return "#" + bytes(round(255 * number) for number in numbers).hex()
    raise ValueError("an ink of neither three nor four numbers")


def darkened(colour: str, share: float) -> str:
    """Return a colour with that share, 0..1, of each channel."""
    return "#" + bytes(int(share * channel) for channel in rgb(colour)).hex()


def _linear(value: float) -> float:
    if value <= 0.04045:
        return value / 12.92
    return float(((value + 0.055) / 1.055) ** 2.4)
