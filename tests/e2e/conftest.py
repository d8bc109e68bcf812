"""The whole system, started once for the tests that only send requests."""

import pytest

from tests.support.launcher import Launcher


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Yield the address of a running system."""
    launcher = Launcher(tmp_path_factory.mktemp("service")).start()
    yield launcher.url
    launcher.discard()
