"""The API of `make sam-local`: built by `sam build`, its functions in containers."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from local.containers.engine import (
    LOCKS,
    engine,
    image_options,
    remove_containers,
    require_image,
)
from local.layers import host
from local.processes import LocalError, dying_with_parent
from local.stack import API, PROJECT
from local.supervisor import say

BUILD = PROJECT / ".aws-sam" / "sam-local"  # not `make build`'s: it is served from
OVERRIDES = ["--parameter-overrides", f"Architecture={host()}"]


class ContainerAPI(API):
    """The template's routes and functions, run by SAM in containers."""

    target = "sam-local"
    # With it SAM removes its containers. They are the engine's children, so that the
    # kernel cannot end them with us.
    stop_signal = death_signal = signal.SIGINT

    def __init__(self, folder: Path, port: int, variables: Path) -> None:
        super().__init__(folder, port, variables)
        self.state = folder.parent

    def sam(self, *arguments: str) -> list[str]:
        """Return `sam local ...` of the build, in containers on the host's network."""
        module = [sys.executable, "-m", "local.containers.sam", str(self.state)]
        what = ["--template", str(BUILD / "template.yaml"), *OVERRIDES]
        what += ["--env-vars", str(self.variables), *image_options(engine())]
        return [*module, "local", *arguments, *what]

    def command(self) -> list[str]:
        """Return `sam local start-api`, each container staying after its first request.

        EAGER, which starts them all at once, loses track of some of them.
        """
        return [*super().command(), "--warm-containers", "LAZY"]

    def prepare(self) -> None:
        """See to the engine and its image, and build for this machine."""
        require_image(engine(), say)
        build = [sys.executable, "-m", "samcli", "build", *OVERRIDES]
        build += ["--build-dir", str(BUILD)]
        done = subprocess.run(
            dying_with_parent(build),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalError(f"`sam build` failed:\n{done.stderr.strip()}")

    def start(self, seconds: float = 60) -> None:
        """Start it, when what the last one left is gone."""
        remove_containers(self.state)
        shutil.rmtree(self.state / LOCKS, ignore_errors=True)
        (self.state / LOCKS).mkdir()
        super().start(seconds)

    def stop(self, patience: float = 10) -> None:
        """Stop it and its containers."""
        super().stop(patience)
        remove_containers(self.state)

    def kill(self) -> None:
        """Kill it, and remove its containers."""
        super().kill()
        remove_containers(self.state)
