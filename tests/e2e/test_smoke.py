"""`make smoke` with a service that works, and with faulty ones."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.http import call
from local.project import ROOT

KEY = "a-key-of-the-usage-plan"
PROBLEM = json.dumps({"code": "unavailable", "request_id": "a1b2"}).encode()


@pytest.fixture
def gateway(service):
    """Yield a proxy that requires a key, as API Gateway does.

    `faults` are fixed answers by method and path. With `open`, no key is required.
    `refusals` is how often a valid key is refused at first.
    """
    gateway = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    gateway.service, gateway.faults = service, {}
    gateway.open, gateway.refusals = False, 0
    gateway.url = f"http://127.0.0.1:{gateway.server_port}"
    thread = threading.Thread(target=gateway.serve_forever, daemon=True)
    thread.start()
    yield gateway
    gateway.shutdown()
    gateway.server_close()
    thread.join()


class Gateway(BaseHTTPRequestHandler):
    def do_GET(self):
        for (method, path), fault in self.server.faults.items():
            if method == self.command and self.path.startswith(path):
                return self.answer(*fault)
        return self.answer(*self.forward())

    def do_POST(self):
        if self.headers["X-Api-Key"] == KEY and self.server.refusals:
            self.server.refusals -= 1
            return self.answer(403, b"{}")
        if self.headers["X-Api-Key"] != KEY and not self.server.open:
            return self.answer(403, b"{}")
        return self.do_GET()

    def forward(self):
        length = int(self.headers["Content-Length"] or 0)
        body = self.rfile.read(length) if length else None
        answer = call(self.command, self.server.service + self.path, body)
        return answer.status, answer.body

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def smoke(url, key=""):
    """Return the exit code, the output and the error output of `make smoke`."""
    done = subprocess.run(
        [sys.executable, "-m", "checks.smoke", url],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "API_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_local_service_passes_without_a_key(service):
    code, output, errors = smoke(service + "/")
    assert (code, errors) == (0, "")
    assert output.count("\n  ") == 5
    assert output.endswith("It works.\n")


def test_a_gateway_requires_the_key_and_it_is_never_printed(gateway):
    code, output, errors = smoke(gateway.url, KEY)
    assert (code, errors) == (0, "")
    assert "refuses a request without an API key" in output
    assert KEY not in output
    assert "X-Amz" not in output


def test_a_key_that_the_gateway_does_not_know_yet_is_retried(gateway):
    gateway.refusals = 1
    assert smoke(gateway.url, KEY)[0] == 0
    assert gateway.refusals == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            {("GET", "/health"): (503, PROBLEM)},
            "GET /health: 503 instead of 200, code unavailable, request_id a1b2",
        ),
        (
            {("GET", "/health"): (200, b'{"cache": "unavailable"}')},
            (
                "GET /health: the cache is unavailable; see CachePassedOverAlarm in"
                " docs/operations.md"
            ),
        ),
        ({("POST", "/generate"): (500, b"")}, "POST /generate: 500 instead of 201"),
        (
            {("POST", "/generate"): (201, b"[]")},
            "POST /generate: there is no qr_id in the answer",
        ),
        (
            {("GET", "/retrieve"): (200, b'{"qr_code": "file:///etc/hosts"}')},
            "GET of the image: no answer, not an HTTP URL",
        ),
    ],
)
def test_a_fault_is_named_and_ends_the_run(gateway, fault, error):
    gateway.faults = fault
    assert smoke(gateway.url, KEY)[::2] == (1, f"FAILED: {error}\n")


def test_a_gateway_that_requires_no_key_is_detected(gateway):
    gateway.open = True
    error = "FAILED: POST without a key: 201 instead of 403\n"
    assert smoke(gateway.url, KEY)[::2] == (1, error)


@pytest.mark.parametrize("body", [b"no image", (ROOT / "docs/pictures/logo.png")])
def test_an_image_without_the_text_is_detected(gateway, body):
    body = body if isinstance(body, bytes) else body.read_bytes()
    found = json.dumps({"qr_code": f"{gateway.url}/image"}).encode()
    gateway.faults = {
        ("GET", "/retrieve"): (200, found),
        ("GET", "/image"): (200, body),
    }
    code, _, errors = smoke(gateway.url, KEY)
    assert code == 1
    assert errors == "FAILED: the image does not hold the text that was sent\n"


def test_an_address_that_does_not_answer_is_reported(gateway):
    code, _, errors = smoke("http://127.0.0.1:1")
    assert code == 1
    assert "GET /health: no answer, " in errors
