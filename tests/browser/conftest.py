"""A browser, and the whole system that it opens.

Debian's chromium, or the browser that CHROMIUM names. Without one the tests are
skipped, but not in CI.
"""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from tests.support.launcher import Launcher

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Yield the address of a running system."""
    launcher = Launcher(tmp_path_factory.mktemp("studio")).start()
    yield launcher.url
    launcher.discard()


@pytest.fixture(scope="session")
def browser():
    """Yield a browser without a window."""
    found = os.environ.get("CHROMIUM") or next(filter(shutil.which, NAMES), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("There is no browser: apt-get install chromium")
        pytest.skip("apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=shutil.which(found) or found,
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        yield opened
        opened.close()
