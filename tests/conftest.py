"""Set-up of all tests: the functions' environment, and a check of logs for secrets."""

import logging
import os

import pytest

from tests.support.environment import ENVIRONMENT

# Before any other import: loggers and metrics read the environment when they are
# created. No AWS settings of the developer or of anybody else may reach the tests.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ.update(ENVIRONMENT)

from qr_service.telemetry import logger  # noqa: E402

from tests.support.transcript import transcript  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _whole_transcript():
    """Record every log line of the run; fail at the end if one contains a secret."""
    handler = logging.StreamHandler(transcript)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield
    leaks = transcript.leaks()
    assert not leaks, f"the functions logged {leaks}"


@pytest.fixture
def log():
    """Return a function that returns the log lines of this test so far."""
    start = len(transcript.getvalue())
    return lambda: transcript.lines(start)


@pytest.fixture
def measured(record_property):
    """Return a function that adds a line to the summary."""
    return lambda line: record_property("measured", line)


def pytest_terminal_summary(terminalreporter):
    reports = [*terminalreporter.getreports("passed")]
    reports += terminalreporter.getreports("failed")
    lines = [line for report in reports for _, line in report.user_properties]
    if lines:
        terminalreporter.section("measured")
    for line in lines:
        terminalreporter.line(line)
