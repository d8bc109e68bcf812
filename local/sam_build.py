"""Functions and layers as `sam build` builds them, for this machine's processor."""

import subprocess
import sys
from pathlib import Path

from local.processes import LocalError, with_parent_death_signal
from local.project import ROOT, architecture

OVERRIDES = ["--parameter-overrides", f"Architecture={architecture()}"]


def sam_build(folder: Path) -> None:
    """Build into a folder; raises LocalError with what the SAM CLI says."""
    build = [sys.executable, "-m", "samcli", "build", *OVERRIDES]
    done = subprocess.run(
        with_parent_death_signal([*build, "--build-dir", str(folder)]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(f"`sam build` failed:\n{done.stderr.strip()}")
