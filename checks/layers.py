"""Checks of the files of a built layer, on any host and for either machine.

Every module must have bytecode that the runtime uses without a check, all compiled
files must be for the layer's machine, and the layer must stay within its size.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MACHINES = {"arm64": 183, "x86_64": 62}  # e_machine of ELF: AArch64, x86-64
PYTHON = "cpython-313"
# The magic number of CPython 3.13's bytecode, and the flags of PEP 552 for files that
# that Python uses without checking the source.
BYTECODE = (3571).to_bytes(2, "little") + b"\r\n" + (0b01).to_bytes(4, "little")
MAX_MEBIBYTES = 56


def machine_of(*layers: Path) -> str | None:
    """Return the machine of most compiled files in these layers; None without any."""
    found = Counter(machine for layer in layers for _, machine in compiled(layer))
    names = {machine: name for name, machine in MACHINES.items()}
    return names.get(found.most_common(1)[0][0]) if found else None


def mebibytes(layer: Path) -> float:
    """Return the unzipped size of a layer."""
    return sum(path.stat().st_size for path in files(layer)) / 2**20


def faults(layer: Path, machine: str) -> list[str]:
    """Return the faults of a layer for that machine, one per line."""
    found = [*wrong_bytecode(layer), *wrong_machine(layer, MACHINES[machine])]
    if (size := mebibytes(layer)) > MAX_MEBIBYTES:
        found.append(f"it has {size:.1f} MiB, more than {MAX_MEBIBYTES}")
    return found


def wrong_bytecode(layer: Path) -> Iterator[str]:
    """Yield the sources without bytecode, and the bytecode that is not used."""
    sources = {path for path in files(layer) if path.suffix == ".py"}
    useful = {
        path.parent / "__pycache__" / f"{path.stem}.{PYTHON}.pyc": path
        for path in sources
    }
    found = {path for path in files(layer) if path.suffix == ".pyc"}
    for path in sorted(useful.keys() - found):
        yield f"{useful[path].relative_to(layer)} is not compiled"
    for path in sorted(found - useful.keys()):
        yield f"{path.relative_to(layer)} has no source, or is for another Python"
    for path in sorted(found & useful.keys()):
        with path.open("rb") as file:
            if file.read(len(BYTECODE)) != BYTECODE:
                yield f"{path.relative_to(layer)} is not unchecked bytecode of {PYTHON}"


def wrong_machine(layer: Path, machine: int) -> Iterator[str]:
    """Yield files compiled for another machine or another version of Python."""
    for path, found in compiled(layer):
        if found != machine:
            yield f"{path.relative_to(layer)} is for machine {found}, not {machine}"
        if ".cpython-" in path.name and f".{PYTHON}-" not in path.name:
            yield f"{path.relative_to(layer)} is for another Python than {PYTHON}"


def compiled(layer: Path) -> Iterator[tuple[Path, int]]:
    """Yield every ELF file with its machine."""
    for path in files(layer):
        with path.open("rb") as file:
            header = file.read(20)
        if header.startswith(b"\x7fELF"):
            yield path, int.from_bytes(header[18:20], "little")


def files(layer: Path) -> list[Path]:
    """Return every file of the layer."""
    return sorted(path for path in layer.rglob("*") if path.is_file())
