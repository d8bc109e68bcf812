"""The API of `make sam-local`: built by `sam build`, its functions in containers."""

import shutil
import signal
import sys

from local.containers.engine import (
    LOCKS,
    engine,
    image_options,
    remove_containers,
    require_image,
)
from local.project import BUILDS
from local.sam_build import OVERRIDES, sam_build
from local.stack import API
from local.supervisor import say

BUILD = BUILDS / "sam-local"  # not `make build`'s: functions are served from here


class ContainerAPI(API):
    """The template's routes and functions, run by SAM in containers."""

    target = "sam-local"
    # On this signal SAM removes its containers. They are the engine's children, so the
    # kernel cannot end them together with us.
    stop_signal = death_signal = signal.SIGINT

    def sam(self, *arguments: str) -> list[str]:
        """Return `sam local ...` of the build, in containers on the host's network."""
        module = [sys.executable, "-m", "local.containers.sam", str(self.state)]
        what = ["--template", str(BUILD / "template.yaml"), *OVERRIDES]
        what += ["--env-vars", str(self.variables), *image_options(engine())]
        return [*module, "local", *arguments, *what]

    def command(self) -> list[str]:
        """Return `sam local start-api`, which keeps each container after a request.

        EAGER, which starts them all at once, leaves some of them behind.
        """
        return [*super().command(), "--warm-containers", "LAZY"]

    def build(self) -> None:
        """Check the engine and the image, and build for this machine."""
        require_image(engine(), say)
        sam_build(BUILD)

    def start(self, seconds: float = 60) -> None:
        """Remove what the last run left, then start."""
        remove_containers(self.state)
        shutil.rmtree(self.state / LOCKS, ignore_errors=True)
        (self.state / LOCKS).mkdir(parents=True)
        super().start(seconds)

    def stop(self, seconds: float = 10) -> None:
        """Stop it and its containers."""
        super().stop(seconds)
        remove_containers(self.state)

    def kill(self) -> None:
        """Kill it, and remove its containers."""
        super().kill()
        remove_containers(self.state)
