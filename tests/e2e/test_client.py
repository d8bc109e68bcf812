"""The client against a server that answers what a test prepares."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3
from qr_client import Client, Problem, Unreachable

PROBLEM = {"status": 422, "code": "unscannable", "detail": "It would not scan."}
CREATED = {"qr_id": "a", "expires_at": "2030-01-01T00:00:00Z"}


@contextmanager
def answering(*answers):
    """Serve these answers: status, headers, body; yield address and requests."""
    left, requests = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            requests.append((self.command, self.path, dict(self.headers), body))
            status, headers, found = left.pop(0)
            if status == 0:
                self.connection.close()
                self.close_connection = True
                return
            text = json.dumps(found).encode() if isinstance(found, dict) else found
            self.send_response(status)
            for name, value in {**headers, "Content-Length": f"{len(text)}"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def waits(monkeypatch):
    """Note the waits between tries, and take no time for them."""
    seconds = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("status", [429, 503])
def test_a_refused_request_is_repeated_after_what_is_asked(waits, status):
    again = (status, {"Retry-After": "5"}, {**PROBLEM, "status": status})
    with answering(again, again, (201, {}, CREATED)) as (url, requests):
        assert Client(url, "secret").generate(data="x") == CREATED
    assert waits == [5, 5]
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in requests}
    assert len(keys) == 1, "it is the same code"
    assert all(headers["X-Api-Key"] == "secret" for _, _, headers, _ in requests)


def test_a_request_without_an_answer_is_repeated_with_its_key(waits):
    with answering((0, {}, b""), (201, {}, CREATED)) as (url, requests):
        assert Client(url).generate(data="x", key="mine") == CREATED
    assert [headers["Idempotency-Key"] for _, _, headers, _ in requests] == ["mine"] * 2


def test_a_refusal_is_a_problem(waits):
    refused = pytest.raises(Problem, match="would not scan")
    with answering((422, {}, PROBLEM)) as (url, _), refused as raised:
        Client(url).generate(data="x")
    assert (raised.value.status, raised.value.code) == (422, "unscannable")


def test_what_stays_unavailable_is_a_problem_in_the_end(waits):
    away = (503, {"Retry-After": "1"}, {"status": 503, "code": "unavailable"})
    with answering(*[away] * 3) as (url, requests), pytest.raises(Problem):
        Client(url, tries=3).generate(data="x")
    assert len(requests) == 3


def test_a_server_that_is_not_there_is_unreachable(waits):
    with answering() as (url, _):
        pass
    with pytest.raises(Unreachable, match="does not answer"):
        Client(url, tries=2).retrieve("a")


def test_another_server_is_recognized(waits):
    with answering((200, {}, b"<html>")) as (url, _), pytest.raises(Unreachable):
        Client(url).document()


def test_the_key_is_not_sent_to_the_storage(waits):
    with answering((200, {}, b"image")) as (storage, fetched):
        found = (200, {}, {"qr_code": f"{storage}/codes/a.png?signed"})
        with answering(found) as (url, _):
            assert Client(url, "secret").image("a") == b"image"
    ((_, path, headers, _),) = fetched
    assert path == "/codes/a.png?signed"
    assert "X-Api-Key" not in headers


def test_a_change_is_of_what_was_read(waits):
    read, changed = (200, {"ETag": '"7"'}, CREATED), (200, {}, {"label": "new"})
    with answering(read, changed) as (url, requests):
        assert Client(url).change("a", label="new") == {"label": "new"}
    method, path, headers, body = requests[1]
    assert (method, path, headers["If-Match"]) == ("PATCH", "/codes/a", '"7"')
    assert json.loads(body) == {"label": "new"}


def test_all_pages_are_listed(waits):
    pages = [{"codes": [1, 2], "next": "c"}, {"codes": [3], "next": None}]
    with answering(*[(200, {}, page) for page in pages]) as (url, requests):
        assert list(Client(url).codes(limit="2")) == [1, 2, 3]
    assert [path for _, path, _, _ in requests] == [
        "/codes?limit=2",
        "/codes?limit=2&cursor=c",
    ]


def test_an_ended_code_can_be_ended_again(waits):
    with answering((410, {}, {"status": 410, "code": "expired"})) as (url, _):
        Client(url).end("a")


@pytest.mark.parametrize(
    "url", ["http://qr.example.com", "qr.example.com", "ftp://127.0.0.1", ""]
)
def test_the_key_is_never_sent_without_tls(url):
    with pytest.raises(ValueError, match=r"TLS|not the address"):
        Client(url, "secret")
