"""When the supervisor starts what again, with servers that only pretend."""

import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from local import supervisor
from local.processes import LocalError
from local.supervisor import FIRST_PAUSE, LONGEST_PAUSE, Schedule, Watch


class Pretended:
    """A server that is running or not, and may fail to start."""

    name = "Pretended"

    def __init__(self):
        self.running = True
        self.failing = False
        self.starts = 0

    def start(self):
        self.starts += 1
        if self.failing:
            raise LocalError("no room")
        self.running = True


@pytest.fixture
def clock(monkeypatch):
    """The supervisor's clock, set by the test."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: clock.now)
    return clock


def test_a_dead_server_is_named_and_started_again_after_three_seconds(clock, capsys):
    server = Pretended()
    watch = Watch(server)
    assert not watch.look()
    server.running = False
    assert not watch.look()
    assert "Pretended ended; starting it again in 3 s" in capsys.readouterr().err
    clock.now += FIRST_PAUSE - 0.1
    assert not watch.look()
    assert server.starts == 0
    clock.now += 0.1
    assert watch.look()
    assert server.running
    assert "Pretended is back" in capsys.readouterr().err


def test_a_server_that_keeps_dying_is_started_ever_more_slowly(clock):
    server = Pretended()
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


def test_a_steady_minute_makes_the_next_restart_quick_again(clock):
    server = Pretended()
    watch = Watch(server)
    watch.pause = LONGEST_PAUSE
    clock.now += 61
    watch.look()
    assert watch.pause == FIRST_PAUSE


def test_the_cleanup_runs_each_time_it_is_due_and_never_twice_at_once(clock):
    runs = []

    def spawn_invoke(function, event, log):
        runs.append(subprocess.Popen(["sleep", "60"]))
        assert (function, event) == ("cleanup", "scheduled")
        return runs[-1]

    with tempfile.TemporaryDirectory() as logs:
        stack = SimpleNamespace(logs=Path(logs), spawn_invoke=spawn_invoke)
        schedule = Schedule(stack)
        schedule.look()
        assert runs == []
        clock.now += 3600
        schedule.look()
        clock.now += 3600  # due again, but the first one is still at work
        schedule.look()
        assert len(runs) == 1
        runs[0].kill()
        runs[0].wait()
        schedule.look()
        assert len(runs) == 2
        schedule.stop()
        assert runs[1].poll() is not None
