"""A browser, and the whole system that it opens.

Without a browser the tests are skipped, but not in CI.
"""

import os

import pytest

from tests.support.browsers import chromium, found
from tests.support.launcher import Launcher


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Yield the address of a running system."""
    launcher = Launcher(tmp_path_factory.mktemp("studio")).start()
    yield launcher.url
    launcher.discard()


@pytest.fixture(scope="session")
def browser():
    """Yield a browser without a window."""
    path = found()
    if path is None and os.environ.get("CI"):
        pytest.fail("There is no browser: apt-get install chromium")
    if path is None:
        pytest.skip("apt-get install chromium")
    with chromium(path) as opened:
        yield opened
