"""What holds for a built layer, whatever it was built on and for: read from its files.

Every module has bytecode that the runtime takes as it is, everything compiled is for
the layer's machine, and the whole stays within its size.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MACHINES = {"arm64": 183, "x86_64": 62}  # e_machine of ELF: AArch64, x86-64
PYTHON = "cpython-313"
# The magic number of CPython 3.13's bytecode, and the flags of PEP 552 for files that
# are taken without a look at their source.
BYTECODE = (3571).to_bytes(2, "little") + b"\r\n" + (0b01).to_bytes(4, "little")
MOST_MEBIBYTES = 56


def machine_of(*layers: Path) -> str | None:
    """Returns what most compiled files of these layers are for; None without any."""
    found = Counter(machine for layer in layers for _, machine in compiled(layer))
    names = {machine: name for name, machine in MACHINES.items()}
    return names.get(found.most_common(1)[0][0]) if found else None


def mebibytes(layer: Path) -> float:
    """Returns the layer's size, unzipped."""
    return sum(path.stat().st_size for path in files(layer)) / 2**20


def faults(layer: Path, machine: str) -> list[str]:
    """Returns what is wrong with a layer for that machine, a line each."""
    found = [*wrong_bytecode(layer), *wrong_machine(layer, MACHINES[machine])]
    if (size := mebibytes(layer)) > MOST_MEBIBYTES:
        found.append(f"it has {size:.1f} MiB, more than {MOST_MEBIBYTES}")
    return found


def wrong_bytecode(layer: Path) -> Iterator[str]:
    """Yields the sources without bytecode, and the bytecode of no use."""
    sources = {path for path in files(layer) if path.suffix == ".py"}
    useful = {
        path.parent / "__pycache__" / f"{path.stem}.{PYTHON}.pyc": path
        for path in sources
    }
    there = {path for path in files(layer) if path.suffix == ".pyc"}
    for path in sorted(useful.keys() - there):
        yield f"{useful[path].relative_to(layer)} is not compiled"
    for path in sorted(there - useful.keys()):
        yield f"{path.relative_to(layer)} is of no source, or another Python"
    for path in sorted(there & useful.keys()):
        with path.open("rb") as file:
            if file.read(len(BYTECODE)) != BYTECODE:
                yield f"{path.relative_to(layer)} is no unchecked bytecode of {PYTHON}"


def wrong_machine(layer: Path, machine: int) -> Iterator[str]:
    """Yields what is compiled for another machine, or another version of Python."""
    for path, found in compiled(layer):
        if found != machine:
            yield f"{path.relative_to(layer)} is for machine {found}, not {machine}"
        if ".cpython-" in path.name and f".{PYTHON}-" not in path.name:
            yield f"{path.relative_to(layer)} is for another Python than {PYTHON}"


def compiled(layer: Path) -> Iterator[tuple[Path, int]]:
    """Yields every ELF file, with the machine it is for."""
    for path in files(layer):
        with path.open("rb") as file:
            header = file.read(20)
        if header.startswith(b"\x7fELF"):
            yield path, int.from_bytes(header[18:20], "little")


def files(layer: Path) -> list[Path]:
    """Returns every file of the layer."""
    return sorted(path for path in layer.rglob("*") if path.is_file())
