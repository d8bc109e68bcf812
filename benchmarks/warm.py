"""The cost of a warm request, in a process of its own: `python -m benchmarks.warm`.

`stores` starts it with the functions' environment, and with the addresses that the
plain service needs. Its last line of output holds the medians as JSON.
"""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from aws_lambda_powertools.utilities.typing import LambdaContext

import functions.generate.app as generate
import functions.redirect.app as redirect
import functions.retrieve.app as retrieve
from benchmarks.measure import OURS, cpu_milliseconds, interleave
from benchmarks.plain_fastapi import create_app

PLAIN = "plain FastAPI"
ITEMS = 100  # of a batch
EVENTS = Path("events")
_TEXT = "the quick brown fox jumps over the lazy dog, and " * 3


def bodies() -> Iterator[str]:
    """Yield bodies with 150 bytes of data, each different from the others."""
    for number in itertools.count():
        yield json.dumps({"data": f"{number:08}{_TEXT}"[:150], "expiration_hours": 24})


BODIES = bodies()


class Context(LambdaContext):
    """The context that the handlers receive."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id = "00000000-0000-4000-8000-000000000000"


class Service(Protocol):
    """An implementation of the service; its methods return the body of the answer."""

    def generate(self, body: str) -> dict[str, Any]:
        """Call POST /generate."""

    def retrieve(self, qr_id: str) -> dict[str, Any]:
        """Call GET /retrieve/{qr_id}."""


class ThisService:
    """The handlers, called with API Gateway's events."""

    def __init__(self) -> None:
        self._post = json.loads((EVENTS / "generate/url.json").read_text())
        self._batch = _without_key((EVENTS / "generate/batch.json").read_text())
        self._get = json.loads((EVENTS / "retrieve/json.json").read_text())
        self._scan = json.loads((EVENTS / "redirect/scan.json").read_text())

    def generate(self, body: str) -> dict[str, Any]:
        """Call POST /generate."""
        return _answer(generate.handler({**self._post, "body": body}, Context()))

    def generate_batch(self) -> None:
        """Call POST /generate/batch, with ITEMS codes like those of generate."""
        items = [
            {"ref": f"{n}", **json.loads(body)}
            for n, body in enumerate(itertools.islice(BODIES, ITEMS))
        ]
        body = json.dumps({"items": items})
        answer = _answer(generate.handler({**self._batch, "body": body}, Context()))
        if any(result["status"] != 201 for result in answer["results"]):
            raise AssertionError(answer)

    def retrieve(self, qr_id: str) -> dict[str, Any]:
        """Call GET /retrieve/{qr_id}."""
        path = {"path": f"/retrieve/{qr_id}", "pathParameters": {"qr_id": qr_id}}
        return _answer(retrieve.handler({**self._get, **path}, Context()))

    def scan(self, slug: str) -> None:
        """Call GET /s/{slug}."""
        path = {"path": f"/s/{slug}", "pathParameters": {"slug": slug}}
        response = redirect.handler({**self._scan, **path}, Context())
        if response["statusCode"] != 302:
            raise AssertionError(response)


class PlainService:
    """The FastAPI application, called by ASGI without a server."""

    def __init__(self) -> None:
        self._app: Callable[..., Awaitable[None]] = create_app(
            os.environ["PLAIN_DATABASE_URL"],
            f"redis://127.0.0.1:{os.environ['REDIS_PORT']}",
            Path(os.environ["PLAIN_FOLDER"]),
        )
        self._loop = asyncio.new_event_loop()

    def generate(self, body: str) -> dict[str, Any]:
        """Call POST /generate."""
        return self._call("POST", "/generate", body.encode())

    def retrieve(self, qr_id: str) -> dict[str, Any]:
        """Call GET /retrieve/{qr_id}."""
        return self._call("GET", f"/retrieve/{qr_id}", b"")

    def _call(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"host", b"localhost"),
                (b"content-type", b"application/json"),
            ],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        self._loop.run_until_complete(self._app(scope, receive, send))
        return _answer({"statusCode": sent[0]["status"], "body": sent[1]["body"]})


def _without_key(text: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(text)
    for headers in (event["headers"], event["multiValueHeaders"]):
        del headers["Idempotency-Key"]
    return event


def _answer(response: dict[str, Any]) -> dict[str, Any]:
    if response["statusCode"] not in {200, 201}:
        raise AssertionError(response)
    answer: dict[str, Any] = json.loads(response["body"])
    return answer


def scans(rounds: int) -> dict[str, dict[str, float]]:
    """Return CPU milliseconds of a scan that is counted, and of a retrieve."""
    service = ThisService()
    fields = {"data": "https://example.com", "dynamic": True, "expiration_hours": 24}
    made = service.generate(json.dumps(fields))
    slug = made["short_url"].rpartition("/")[2]
    return {
        "scan": interleave(
            {
                OURS: cpu_milliseconds(partial(service.scan, slug)),
                "retrieve": cpu_milliseconds(partial(service.retrieve, made["qr_id"])),
            },
            rounds,
        )
    }


def batch(rounds: int) -> dict[str, dict[str, float]]:
    """Return CPU milliseconds of a code in a batch, and of one by itself."""
    service = ThisService()
    together = cpu_milliseconds(service.generate_batch)
    return {
        "batch": interleave(
            {
                OURS: lambda: together() / ITEMS,
                "generate": cpu_milliseconds(partial(_generate, service)),
            },
            rounds,
        )
    }


def requests(rounds: int) -> dict[str, dict[str, float]]:
    """Return CPU milliseconds by route and service."""
    services: dict[str, Service] = {OURS: ThisService(), PLAIN: PlainService()}
    generates, retrieves = {}, {}
    for name, service in services.items():
        qr_id = service.generate(next(BODIES))["qr_id"]
        generates[name] = cpu_milliseconds(partial(_generate, service))
        retrieves[name] = cpu_milliseconds(partial(service.retrieve, qr_id))
    return {
        "generate": interleave(generates, rounds),
        "retrieve": interleave(retrieves, rounds),
    }


def _generate(service: Service) -> None:
    service.generate(next(BODIES))


if __name__ == "__main__":
    measure = {"requests": requests, "scans": scans, "batch": batch}[sys.argv[1]]
    print(json.dumps(measure(int(sys.argv[2]))))
