"""Files like those of a layer."""

import struct

from checks.layers import MACHINES


def elf(machine):
    """Return the start of a compiled file for that machine."""
    return b"\x7fELF" + bytes(14) + struct.pack("<H", MACHINES[machine])
