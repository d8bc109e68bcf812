"""Colours as requests write them: `#rrggbb`, or `transparent`."""

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


def darkened(colour: str, share: float) -> str:
    """Return a colour with that share, 0..1, of each channel."""
    return "#" + bytes(int(share * channel) for channel in rgb(colour)).hex()


def _linear(value: float) -> float:
    if value <= 0.04045:
        return value / 12.92
    return float(((value + 0.055) / 1.055) ** 2.4)
