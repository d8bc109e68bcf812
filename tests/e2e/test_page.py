"""The page /docs of a running system: every call on it works as it is shown."""

import html
import re
import subprocess
import sys

import pytest

from docs import page
from local import http

EVERY_CALL = sum(map(len, page.CALLS.values()))


@pytest.fixture
def calls(service):
    """Return the calls on the page by their language, with the id of a new code."""
    text = http.get(f"{service}/docs").body.decode()
    fields = {"data": "https://example.com", "dynamic": True, "expiration_hours": 1}
    made = http.post(f"{service}/generate", fields).json
    names = {
        page.QR_ID: made["qr_id"],
        page.SLUG: made["short_url"].rpartition("/")[2],
    }
    found = {}
    for language in ("curl", "python"):
        pattern = f'<pre class="{language}"><code>(.*?)</code></pre>'
        shown = [html.unescape(call) for call in re.findall(pattern, text, re.DOTALL)]
        for name, value in names.items():
            shown = [call.replace(name, value) for call in shown]
        found[language] = sorted(shown, key=ends_the_code)
    return found


def ends_the_code(call):
    return "DELETE" in call or ".delete(" in call


def run(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"
    return done.stdout


def test_every_curl_works(calls, tmp_path):
    assert len(calls["curl"]) == EVERY_CALL
    for call in calls["curl"]:
        run(["sh", "-c", call.replace("curl ", "curl --silent --fail ", 1)], tmp_path)
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")


def test_every_python_works(calls, tmp_path):
    assert len(calls["python"]) == EVERY_CALL
    for call in calls["python"]:
        run([sys.executable, "-c", call], tmp_path)
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")
