"""What holds for all tests: the functions' environment, and logs without secrets."""

import logging
import os

import pytest

from tests.support.environment import ENVIRONMENT

# Before any other import: loggers and metrics read the environment as they are made,
# and neither the developer's own AWS settings nor anybody else's may leak in.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ.update(ENVIRONMENT)

from qr_service.telemetry import logger  # noqa: E402

from tests.support.transcript import transcript  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _whole_transcript():
    """Records every log line of the run; at its end no secret may stand in it."""
    handler = logging.StreamHandler(transcript)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield
    leaks = transcript.leaks()
    assert not leaks, f"the functions logged {leaks}"


@pytest.fixture
def log():
    """The log lines of this test so far, as a function."""
    start = len(transcript.getvalue())
    return lambda: transcript.lines(start)
