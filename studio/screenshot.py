"""`make screenshot`: docs/pictures/studio.png, the studio as README.md shows it."""

import sys
import tempfile
from pathlib import Path

from local.project import ROOT
from tests.support.browsers import chromium, found
from tests.support.launcher import Launcher

FILE = ROOT / "docs" / "pictures" / "studio.png"
SIZE = {"width": 1100, "height": 720}


def main() -> int:
    """Start a system of its own, and take a picture of its studio; return a status."""
    path = found()
    if path is None:
        print("There is no browser: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        launcher = Launcher(Path(folder) / "state").start()
        try:
            with chromium(path) as browser:
                page = browser.new_context(viewport=SIZE).new_page()
                page.goto(launcher.url)
                page.fill("#f-data", "https://example.com/menu")
                page.click("#life summary")
                page.click("#look summary")
                page.click("text='Rounded'")
                page.wait_for_selector("#paper:not(.old) #picture[src]")
                page.wait_for_timeout(300)
                page.screenshot(path=FILE)
        finally:
            launcher.discard()
    print(FILE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
