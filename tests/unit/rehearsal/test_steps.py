"""The rehearsal's own logic; the rest of it is shown by running it."""

import signal
from types import SimpleNamespace

import pytest

from local.http import Answer
from local.processes import LocalError
from rehearsal import __main__ as command
from rehearsal import servers, steps


class FakeRehearsal:
    """Takes the steps that it is given, with one server."""

    def __init__(self, folder, *given):
        self.log = folder / "server.log"
        self.log.write_text("the server's last words")
        self.servers = [SimpleNamespace(log=self.log)]
        self.given = given
        self.stopped = False

    def steps(self):
        return list(self.given)

    def stop(self):
        self.stopped = True


@pytest.fixture
def rehearse(monkeypatch, tmp_path):
    """Runs the command with these steps; gives exit code, folder and the fake."""
    before = {number: signal.getsignal(number) for number in command.SIGNALS}

    def run(*given):
        folder = tmp_path / "rehearsal"
        folder.mkdir()
        fake = FakeRehearsal(folder, *given)
        monkeypatch.setattr(command.tempfile, "mkdtemp", lambda prefix: str(folder))
        monkeypatch.setattr(command, "Rehearsal", lambda _: fake)
        monkeypatch.setattr(command.sys, "version_info", (3, 13, 0))
        return command.main(), folder, fake

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def well():
    """It goes well."""


def badly():
    """It goes badly."""
    raise LocalError("this is why")


def by_surprise():
    """It was not foreseen."""
    raise KeyError("surprise")


def interrupted():
    """Somebody presses Ctrl-C."""
    raise KeyboardInterrupt


def test_steps_that_go_well_leave_nothing_behind(rehearse, capsys):
    code, folder, fake = rehearse(well, well)
    assert (code, folder.exists(), fake.stopped) == (0, False, True)
    said = capsys.readouterr().out
    assert said.startswith(" 1/2")
    assert "It goes well\n" in said


@pytest.mark.parametrize(
    ("step", "reason"), [(badly, "this is why"), (by_surprise, "KeyError: 'surprise'")]
)
def test_the_first_step_that_fails_ends_it_with_its_reason(
    rehearse, capsys, step, reason
):
    code, folder, fake = rehearse(well, step, interrupted)
    said = capsys.readouterr().out
    assert (code, folder.exists(), fake.stopped) == (1, True, True)
    assert f"FAILED  {step.__doc__.rstrip('.')}\n" in said
    assert reason in said
    assert "the server's last words" in said
    assert str(folder) in said


def test_an_interruption_stops_everything_and_leaves_nothing(rehearse):
    code, folder, fake = rehearse(interrupted)
    assert (code, folder.exists(), fake.stopped) == (130, False, True)


def test_every_step_has_a_title_of_its_own(monkeypatch, tmp_path):
    tools = servers.Tools(tmp_path, "redis-server")
    monkeypatch.setattr(steps, "debian_tools", lambda: tools)
    titles = [step.__doc__ for step in steps.Rehearsal(tmp_path).steps()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_missing_servers_are_named_as_packages(monkeypatch):
    monkeypatch.setattr(servers.Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(servers.shutil, "which", lambda name: None)
    with pytest.raises(LocalError, match="apt install postgresql redis-server"):
        servers.debian_tools()


def test_the_functions_python_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(command.sys, "version_info", (3, 12, 0))
    assert command.main() == 1
    assert "Python 3.13" in capsys.readouterr().err


def answer(status, body):
    return Answer(status, {}, body)


def test_an_answer_is_held_against_status_and_members():
    steps.expect(answer(403, b'{"code": "forbidden"}'), 403, code="forbidden")
    for other in (
        answer(200, b'{"code": "forbidden"}'),
        answer(403, b'{"code": "throttled"}'),
        answer(403, b"no JSON"),
        answer(403, b"[1]"),
    ):
        with pytest.raises(LocalError, match="not 403"):
            steps.expect(other, 403, code="forbidden")


def test_a_refusal_for_another_reason_is_none():
    steps.refused(answer(403, b"<Code>AccessDenied</Code>"), "AccessDenied")
    with pytest.raises(LocalError, match="not 403 AccessDenied"):
        steps.refused(
            answer(403, b"<Code>SignatureDoesNotMatch</Code>"), "AccessDenied"
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_PASSWORD", "x"),
        ("SecretArn", "x"),
        ("AuthToken", "x"),
        ("DATABASE_URL", "postgresql://qr_app:hunter2@127.0.0.1:5432/qrcodes"),
        ("Key", "AKIAIOSFODNN7EXAMPLE"),
        ("Session", "prefix ASIAIOSFODNN7EXAMPLE"),
        ("Certificate", "-----BEGIN EC PRIVATE KEY-----"),
    ],
)
def test_static_secrets_are_recognized(name, value):
    assert steps.SECRET_NAME.search(name) or steps.SECRET_VALUE.search(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://qr_app@127.0.0.1:5432/qrcodes"),
        ("S3_ENDPOINT_URL", "https://127.0.0.1:4566"),
        ("ApiKeyId", "abcdefghij"),
        ("ApiUrl", "https://a.execute-api.eu-central-1.amazonaws.com/dev"),
        ("REDIS_USERNAME", "qr-0123abcd"),
    ],
)
def test_what_is_no_secret_is_left_alone(name, value):
    assert not steps.SECRET_NAME.search(name)
    assert not steps.SECRET_VALUE.search(value)


def test_times_are_read_as_utc():
    assert steps.moment("1970-01-02T00:00:00Z") == 86400
