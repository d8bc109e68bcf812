"""The rehearsal's own logic; `make rehearse` tests the rest."""

import signal
from types import SimpleNamespace

import pytest

from local.http import Answer
from local.processes import LocalError
from rehearsal import __main__ as command
from rehearsal import servers, steps


class FakeRehearsal:
    """A rehearsal with the given steps and one server."""

    has_release = True

    def __init__(self, folder, *steps):
        self.log = folder / "server.log"
        self.log.write_text("the server's last line")
        self.servers = [SimpleNamespace(log=self.log)]
        self.own_steps = steps
        self.stopped = False

    def steps(self):
        return list(self.own_steps)

    def stop(self):
        self.stopped = True


@pytest.fixture
def rehearse(monkeypatch, tmp_path):
    """Yield a function that runs steps; it returns exit code, folder and the fake."""
    before = {number: signal.getsignal(number) for number in command.SIGNALS}

    def run(*given_steps):
        folder = tmp_path / "rehearsal"
        folder.mkdir()
        fake = FakeRehearsal(folder, *given_steps)
        monkeypatch.setattr(command.tempfile, "mkdtemp", lambda prefix: str(folder))
        monkeypatch.setattr(command, "Rehearsal", lambda _: fake)
        monkeypatch.setattr(command.sys, "version_info", (3, 13, 0))
        return command.main(), folder, fake

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


def succeed():
    """Succeed."""


def fail():
    """Fail with a reason."""
    raise LocalError("the reason")


def fail_unexpectedly():
    """Fail unexpectedly."""
    raise KeyError("unexpected")


def interrupt():
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


def test_successful_steps_leave_no_files(rehearse, capsys):
    code, folder, fake = rehearse(succeed, succeed)
    assert (code, folder.exists(), fake.stopped) == (0, False, True)
    output = capsys.readouterr().out
    assert output.startswith(" 1/2")
    assert "Succeed\n" in output


@pytest.mark.parametrize(
    ("step", "reason"),
    [(fail, "the reason"), (fail_unexpectedly, "KeyError: 'unexpected'")],
)
def test_the_first_step_that_fails_ends_the_rehearsal_with_its_reason(
    rehearse, capsys, step, reason
):
    code, folder, fake = rehearse(succeed, step, interrupt)
    output = capsys.readouterr().out
    assert (code, folder.exists(), fake.stopped) == (1, True, True)
    assert f"FAILED  {step.__doc__.rstrip('.')}\n" in output
    assert reason in output
    assert "the server's last line" in output
    assert str(folder) in output


def test_an_interruption_stops_the_servers_and_leaves_no_files(rehearse):
    code, folder, fake = rehearse(interrupt)
    assert (code, folder.exists(), fake.stopped) == (130, False, True)


def test_every_step_has_a_unique_title(monkeypatch, tmp_path):
    tools = servers.Tools(tmp_path, "redis-server")
    monkeypatch.setattr(steps, "debian_tools", lambda: tools)
    titles = [step.__doc__ for step in steps.Rehearsal(tmp_path).steps()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_missing_servers_are_reported_with_their_packages(monkeypatch):
    monkeypatch.setattr(servers.Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(servers.shutil, "which", lambda name: None)
    with pytest.raises(LocalError, match="apt install postgresql redis-server"):
        servers.debian_tools()


def test_the_python_of_the_functions_is_required(monkeypatch, capsys):
    monkeypatch.setattr(command.sys, "version_info", (3, 12, 0))
    assert command.main() == 1
    assert "Python 3.13" in capsys.readouterr().err


def answer(status, body):
    return Answer(status, {}, body)


def test_an_answer_is_compared_with_status_and_members():
    steps.expect(answer(403, b'{"code": "forbidden"}'), 403, code="forbidden")
    for other in (
        answer(200, b'{"code": "forbidden"}'),
        answer(403, b'{"code": "throttled"}'),
        answer(403, b"no JSON"),
        answer(403, b"[1]"),
    ):
        with pytest.raises(LocalError, match="not 403"):
            steps.expect(other, 403, code="forbidden")


def test_a_refusal_for_another_reason_is_an_error():
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
def test_static_secrets_are_recognised(name, value):
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
def test_other_settings_are_not_mistaken_for_secrets(name, value):
    assert not steps.SECRET_NAME.search(name)
    assert not steps.SECRET_VALUE.search(value)


def test_times_are_read_as_utc():
    assert steps.moment("1970-01-02T00:00:00Z") == 86400
