"""How `python -m local run` ends."""

import signal
import sys
from types import SimpleNamespace

import pytest

from local import __main__ as command
from local import supervisor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupting:
    """An object whose finalizer is running when a signal arrives."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


class FakeStack:
    """A stack without servers; `interrupt` is called while it starts."""

    url = "http://127.0.0.1:1"
    servers = ()
    interrupt = None
    stopped = False

    def __init__(self, state, api):
        self.logs = state

    def prepare(self, port):
        pass

    def start(self, progress):
        FakeStack.interrupt()

    def stop(self):
        FakeStack.stopped = True


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command with a fake stack, for three looks of the supervisor at most."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    looks = iter(range(3))
    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _: next(looks))
    monkeypatch.setattr(supervisor, "time", clock)
    monkeypatch.setattr(command, "Stack", FakeStack)
    monkeypatch.setattr(FakeStack, "stopped", False)
    # Python reports the lost exception; pytest would make an error of it.
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)

    def run(interrupt):
        monkeypatch.setattr(FakeStack, "interrupt", interrupt)
        command.run(tmp_path, 0)
        return FakeStack.stopped

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_ends_it_while_it_starts(run, capsys):
    assert run(lambda: signal.raise_signal(signal.SIGTERM))
    assert "Stopping" in capsys.readouterr().err


def test_a_signal_that_python_loses_in_a_finalizer_ends_it_too(run, capsys):
    assert run(Interrupting)
    assert "Stopping" in capsys.readouterr().err
