"""When the supervisor restarts servers and runs the cleanup, with fake servers."""

import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from local import supervisor
from local.processes import LocalError
from local.stack import find_event
from local.supervisor import FIRST_PAUSE, LONGEST_PAUSE, Schedule, Watch


class FakeServer:
    """A server that can end and can fail to start."""

    name = "Fake"

    def __init__(self):
        self.running = True
        self.failing = False
        self.starts = 0

    def start(self):
        self.starts += 1
        if self.failing:
            raise LocalError("no space left")
        self.running = True


@pytest.fixture
def clock(monkeypatch):
    """Return the supervisor's clock, which the test sets."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: clock.now)
    return clock


def test_a_server_that_ended_is_named_and_restarted_after_three_seconds(clock, capsys):
    server = FakeServer()
    watch = Watch(server)
    assert not watch.look()
    server.running = False
    assert not watch.look()
    assert "Fake ended; starting it again in 3 s" in capsys.readouterr().err
    clock.now += FIRST_PAUSE - 0.1
    assert not watch.look()
    assert server.starts == 0
    clock.now += 0.1
    assert watch.look()
    assert server.running
    assert "Fake is back" in capsys.readouterr().err


def test_the_pauses_grow_while_a_server_fails_to_start(clock):
    server = FakeServer()
    server.running, server.failing = False, True
    watch = Watch(server)
    watch.look()
    pauses = []
    for _ in range(6):
        before, starts = clock.now, server.starts
        while server.starts == starts:
            clock.now += 1
            watch.look()
        pauses.append(clock.now - before)
    assert pauses == [3, 6, 12, 24, LONGEST_PAUSE, LONGEST_PAUSE]


def test_a_minute_without_failure_resets_the_pause(clock):
    server = FakeServer()
    watch = Watch(server)
    watch.pause = LONGEST_PAUSE
    clock.now += 61
    watch.look()
    assert watch.pause == FIRST_PAUSE


def test_the_cleanup_runs_each_time_it_is_due_and_never_twice_at_once(clock):
    runs = []

    def spawn_invoke(function, event, log):
        runs.append(subprocess.Popen(["sleep", "60"]))
        assert (function, event) == ("cleanup", find_event("cleanup", "scheduled"))
        return runs[-1]

    with tempfile.TemporaryDirectory() as logs:
        stack = SimpleNamespace(logs=Path(logs), spawn_invoke=spawn_invoke)
        schedule = Schedule(stack)
        schedule.look()
        assert runs == []
        clock.now += 3600
        schedule.look()
        clock.now += 3600  # due again, but the first one is still running
        schedule.look()
        assert len(runs) == 1
        runs[0].kill()
        runs[0].wait()
        schedule.look()
        assert len(runs) == 2
        schedule.stop()
        assert runs[1].poll() is not None
