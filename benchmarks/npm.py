"""Programs in JavaScript, installed beside the virtual environments."""

import subprocess
import sys
from pathlib import Path
from shutil import copy, which


def install(source: Path, script: str) -> Path | None:
    """Install a folder's script with its pinned packages, and return where it is.

    None without npm.
    """
    if not which("npm"):
        return None
    folder = Path(f"{sys.prefix}-{source.name}-npm")
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", script):
        copy(source / name, folder)
    npm = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=folder, check=True)
    return folder / script
