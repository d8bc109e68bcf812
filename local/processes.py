"""Child processes that end with their parent, and what to know about them.

Linux only: parent-death signals and /proc.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

# A parent-death signal fires when the *thread* that forked ends, so every child is
# forked by this one thread, which lasts as long as the process.
_FORKER = ThreadPoolExecutor(1, thread_name_prefix="forker")


class LocalError(Exception):
    """A failure; its message says what to do and is printed."""


def with_parent_death_signal(
    command: Sequence[str], death_signal: signal.Signals = signal.SIGKILL
) -> list[str]:
    """Return `command` wrapped so that the kernel signals it when its parent ends.

    setpriv sets the signal and then becomes the command, so the pid is the same. It has
    to come after anything that changes credentials, which clears the signal.
    """
    return ["setpriv", "--pdeathsig", death_signal.name[3:], "--", *command]


def spawn(
    command: Sequence[str],
    *,
    log: IO[bytes],
    death_signal: signal.Signals = signal.SIGKILL,
    prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, out of reach of the terminal's Ctrl-C.

    `prefix` is a command that changes credentials and then executes its arguments.
    Output goes to `log`, standard output to `stdout` if that is given.
    """
    # A parent that ended before setpriv ran sends no signal: then the shell stops here.
    guard = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
    guarded = with_parent_death_signal([*guard, *command], death_signal)
    return _FORKER.submit(
        subprocess.Popen,
        [*prefix, *guarded],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout or log,
        stderr=log,
        start_new_session=True,
    ).result()


def end(process: subprocess.Popen[bytes], stop: signal.Signals, seconds: float) -> None:
    """Signal a process to stop; after `seconds` kill it and its descendants."""
    family = [process.pid, *descendants(process.pid)]
    process.send_signal(stop)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        family += descendants(process.pid)
    kill(family)
    process.wait()


def kill(pids: Sequence[int]) -> None:
    """Kill those of the processes that still run."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> list[int]:
    """Return the pids of all children of a process, and of theirs, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if (status := _status(int(entry.name))) and status[0] != "Z":
            children.setdefault(int(status[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        todo += (below := children.get(todo.pop(), []))
        found += below
    return found


def alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    return bool((status := _status(pid)) and status[0] != "Z")


def _status(pid: int) -> list[str]:
    """Return state, parent pid and so on, as proc(5) lists them; [] if it has ended."""
    try:
        # The name before them is in parentheses and may itself hold any character.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if nothing listens there, otherwise any free loopback port.

    The port stays reserved for about a minute: the kernel gives out no port that has a
    connection in TIME_WAIT, but a server that sets SO_REUSEADDR, as all of ours do, may
    listen there. Otherwise two processes could get the same port at the same moment.
    """
    with socket.socket() as probe:
        # A port with a connection in TIME_WAIT is still free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return free_port()
        address: tuple[str, int] = probe.getsockname()
        if not preferred:
            probe.listen(1)
            with socket.create_connection(address):
                probe.accept()[0].close()  # the side that closes first has TIME_WAIT
        return address[1]


def wait_until(ready: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Poll `ready` until it holds; return whether it did within `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def listening(port: int) -> bool:
    """Return whether a loopback port accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def require(*tools: str) -> None:
    """Raise LocalError if a system tool is missing."""
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        raise LocalError(f"Not on PATH: {', '.join(missing)} (package util-linux).")
