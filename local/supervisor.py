"""Supervision of a started stack: restarts, and the cleanup on its schedule."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

from local.processes import LocalError, end
from local.servers import Server
from local.stack import Stack, cleanup_interval, find_event

FIRST_PAUSE = 3.0  # seconds before a server is started again, doubled each time
LONGEST_PAUSE = 30.0
STEADY = 60.0  # seconds of running after which earlier failures are forgotten


def say(message: str) -> None:
    """Print a message on standard error; standard output is for results."""
    print(message, file=sys.stderr, flush=True)


class Watch:
    """One server: whether it has ended, and when to start it again."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.pause = FIRST_PAUSE
        self.since = time.monotonic()  # its start, or its end
        self.ended = False

    def look(self) -> bool:
        """Restart the server if it is due; return whether that was done."""
        now = time.monotonic()
        if self.server.running:
            if now - self.since > STEADY:
                self.pause = FIRST_PAUSE
            return False
        if not self.ended:
            self.ended, self.since = True, now
            say(f"{self.server.name} ended; starting it again in {self.pause:.0f} s")
        if now - self.since < self.pause:
            return False
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        try:
            self.server.start()
        except LocalError as error:
            self.since = time.monotonic()
            say(f"{error}\n  next attempt in {self.pause:.0f} s")
            return False
        self.ended, self.since = False, time.monotonic()
        say(f"{self.server.name} is back")
        return True


class Schedule:
    """The hourly cleanup, one run at a time, in the background."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.log = stack.logs / "cleanup.log"
        self.interval = cleanup_interval()
        self.next = time.monotonic() + self.interval
        self.run: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start the cleanup if it is due, and report one that has ended."""
        if self.run is not None and self.run.poll() is not None:
            lines = self.log.read_text(errors="replace").splitlines()
            say(f"cleanup: {lines[-1] if lines else 'no answer'}")
            self.run = None
        if self.run is None and time.monotonic() >= self.next:
            self.next = time.monotonic() + self.interval
            with self.log.open("wb") as log:
                self.run = self.stack.spawn_invoke(
                    "cleanup", find_event("cleanup", "scheduled"), log
                )

    def stop(self) -> None:
        """End a running cleanup; a later one continues with what it leaves."""
        if self.run is not None:
            end(self.run, signal.SIGTERM, 5)


def supervise(stack: Stack, interrupted: Callable[[], bool]) -> None:
    """Watch over a started stack until KeyboardInterrupt, or until `interrupted()`."""
    watches = [Watch(server) for server in stack.servers]
    schedule = Schedule(stack)
    try:
        while not interrupted():
            restarted = [watch.look() for watch in watches]
            if any(restarted):
                stack.record(stack.url)
            schedule.look()
            time.sleep(0.2)
    finally:
        schedule.stop()
