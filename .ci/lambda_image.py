"""A substitute for Lambda's image, for a container engine without a registry.

    PYTHONPATH=. python .ci/lambda_image.py

It contains this machine's own Python 3.13 and C library, the packages that Lambda adds
(awslambdaric, boto3) and the few tools that SAM's own build step runs. It is not Amazon
Linux: code that needs this machine's libraries works in it, too. It has the name of the
image that it replaces, so load it only into an engine that CI starts.
"""

import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from shutil import which
from typing import IO

from packaging.requirements import Requirement

from local.containers.engine import IMAGE, engine
from local.processes import LocalError
from local.supervisor import say

PACKAGES = ["awslambdaric", "boto3"]
TOOLS = ["sh", "mv", "chmod", "cp", "rm"]
# Parts of the C library that only wheels may load.
STUBS = ["libdl.so.2", "libpthread.so.0", "libresolv.so.2", "librt.so.1"]
# In the standard library's folder, but nothing that a function imports.
LEFT_OUT = re.compile(
    r"(site-packages|dist-packages|test|idlelib|_?tkinter|turtledemo|ensurepip|config-)"
)
TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "/etc/nsswitch.conf": "passwd: files\nhosts: files dns\n",
    "/var/runtime/bootstrap": Path(__file__).with_name("bootstrap").read_text(),
}
FOLDERS = ["/opt", "/tmp", "/var/task"]  # noqa: S108 - the image's own


def main() -> int:
    """Load the image into the engine; return the exit code."""
    if sysconfig.get_python_version() != "3.13":
        say("The image needs Python 3.13: PYTHON=python3.13.")
        return 1
    try:
        client = engine()
    except LocalError as error:
        say(str(error))
        return 1
    repository, tag = IMAGE.split(":")
    with tempfile.TemporaryFile() as archive:
        write(archive)
        archive.seek(0)
        client.api.import_image_from_data(archive, repository, tag)
    client.images.get(IMAGE)  # raises if the engine did not accept it
    say(f"{IMAGE} is a substitute with this machine's Python.")
    return 0


def write(archive: IO[bytes]) -> None:
    """Write the image's file system as a tar archive."""
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    files = {str(path): path for path in (python, *standard_library(library))}
    files |= {f"/var/runtime/{name}": path for name, path in packages(PACKAGES).items()}
    files |= {f"/bin/{tool}": Path(which(tool) or tool) for tool in TOOLS}
    for path in shared_libraries(files.values()):
        files.setdefault(str(path), path)
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        for name, path in files.items():
            tar.add(path, name)
        for name, text in TEXTS.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, BytesIO(text.encode()))
        entry = tarfile.TarInfo("/var/lang/bin/python3.13")  # the bootstrap's path
        entry.type, entry.linkname = tarfile.SYMTYPE, str(python)
        tar.addfile(entry)
        for name in FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)


def standard_library(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that functions may need."""
    for path in folder.iterdir():
        if LEFT_OUT.match(path.name):
            continue
        if path.is_dir():
            yield from standard_library(path)
        else:
            yield path


def packages(names: Iterable[str]) -> dict[str, Path]:
    """Return the files of packages and of what these require, by module path."""
    files: dict[str, Path] = {}
    todo, done = list(names), set()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        found = distribution(name)
        for file in found.files or []:
            if not file.parts[0].startswith(".."):  # not a script for the shell
                files[str(file)] = Path(str(found.locate_file(file)))
        todo += [
            needed.name
            for needed in map(Requirement, found.requires or [])
            if not needed.marker or needed.marker.evaluate({"extra": ""})
        ]
    return files


def shared_libraries(files: Iterable[Path]) -> set[Path]:
    """Return the system's libraries that the files load (by ldd), and STUBS."""
    binaries = [str(path) for path in files if _is_binary(path)]
    output = subprocess.run(
        ["ldd", *binaries], capture_output=True, text=True, check=False
    ).stdout
    # `libm.so.6 => /lib/libm.so.6 (0x...)`, or `/lib64/ld-linux.so.2 (0x...)`
    libraries = {
        Path(path)
        for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", output, re.MULTILINE)
        if "site-packages" not in path  # a wheel finds its own libraries
    }
    (libc,) = (path for path in libraries if path.name == "libc.so.6")
    return libraries | {libc.with_name(name) for name in STUBS}


def _is_binary(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


if __name__ == "__main__":
    sys.exit(main())
