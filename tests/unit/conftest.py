"""Fixtures of the unit tests, which cannot open a socket."""

import pytest
from pytest_socket import disable_socket, enable_socket
from qr_service.config import Settings

from tests.support.environment import ENVIRONMENT


@pytest.fixture(autouse=True)
def _no_sockets():
    disable_socket()
    yield
    enable_socket()


@pytest.fixture
def settings():
    return Settings.from_env(ENVIRONMENT)
