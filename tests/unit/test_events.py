import psycopg2
import pytest
from qr_service.edge import events
from qr_service.errors import StorageUnavailable
from qr_service.stores.migrations import MigrationError

from tests.support.gateway import Context


def run(work):
    return events.entrypoint(work)({}, Context())


def test_the_result_is_returned_and_logged(log):
    assert run(lambda event, context: {"erased": 3}) == {"erased": 3}
    assert [line["erased"] for line in log()] == [3]


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.ProgrammingError("INSERT ... 'the payload'"),
        StorageUnavailable(),
        KeyError("the payload"),
    ],
)
def test_a_failure_is_raised_and_logged_without_its_payload(error, log, capsys):
    def work(event, context):
        raise error

    with pytest.raises(events.InvocationFailed) as raised:
        run(work)
    assert type(error).__name__ in str(raised.value)
    assert raised.value.__suppress_context__
    (line,) = log()
    assert line["error"] == type(error).__name__
    assert "the payload" not in f"{raised.value} {line}"
    assert '"Failures":[1.0]' in capsys.readouterr().out  # the metric


def test_a_failure_with_a_safe_message_is_raised_with_it():
    def work(event, context):
        raise MigrationError("0002_more failed", "42501")

    with pytest.raises(events.InvocationFailed) as raised:
        run(work)
    assert str(raised.value) == (
        "error: MigrationError, reason: 0002_more failed, sqlstate: 42501"
    )
