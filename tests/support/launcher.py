"""The whole system, started by the command behind `make run`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.processes import (
    descendants,
    kill,
    wait_until,
    with_parent_death_signal,
)
from local.project import ROOT


class Launcher:
    """A process of `python -m local run` with a state folder.

    `url` is its address, `output` what it has printed so far.
    """

    def __init__(self, state: Path, port: int = 0) -> None:
        self.state = state
        self.port = port
        self.url = ""
        self.log = state.with_name(f"{state.name}.output")
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "local", "--state", str(self.state), *arguments]

    def environment(self) -> dict[str, str]:
        # Without the tests' own variables, which would reach the functions.
        kept = ("PATH", "HOME", "TMPDIR")
        return {name: os.environ[name] for name in kept if name in os.environ}

    def start(self) -> "Launcher":
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                with_parent_death_signal(
                    self.command("run", "--port", str(self.port)), signal.SIGTERM
                ),
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self.ended or "Try: curl" in self.output, 60)
        if self.ended or "Try: curl" not in self.output:
            self.discard()
            raise AssertionError(self.output)
        self.url = self.recorded["url"]
        return self

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run another command on the same folder."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def recorded(self) -> dict[str, Any]:
        entries: dict[str, Any] = json.loads(
            (self.state / "processes.json").read_text()
        )
        return entries

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def family(self) -> list[int]:
        """Return the ids of its processes, down to the functions' runtimes."""
        return [self.pid, *descendants(self.pid)]

    def end(self, how: signal.Signals) -> int:
        """Send a signal to the launcher alone; return its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(30)

    def discard(self) -> None:
        if self.process is not None and not self.ended:
            family = self.family()
            self.process.terminate()
            try:
                self.process.wait(30)
            finally:
                kill(family)
