"""A stand-in for API Gateway: it calls the handlers with the events of `events/`."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.project import EVENTS
from tests.support.transcript import transcript


def event(case: str) -> dict[str, Any]:
    """Return one of the events that developers invoke, such as `generate/url`."""
    found: dict[str, Any] = json.loads((EVENTS / f"{case}.json").read_text())
    return found


class Context:
    """The Lambda context of an invocation that has `seconds` left."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass(frozen=True)
class Reply:
    """A response as a client receives it; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    text: str = ""  # of a page


Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def post_generate(
    handler: Handler,
    body: object,
    headers: Mapping[str, str] | None = None,
    *,
    api_key_id: str | None = None,
    query: Mapping[str, str] | None = None,
) -> Reply:
    """Send POST /generate; text is sent unchanged, everything else as JSON."""
    if isinstance(body, dict):
        transcript.keep_out(*(str(value) for value in body.values()))
    transcript.keep_out(*(headers or {}).values())
    request = event("generate/url")
    request["body"] = body if isinstance(body, str | None) else json.dumps(body)
    request["requestContext"]["identity"]["apiKeyId"] = api_key_id
    if query:
        _set_query(request, query)
    return _call(handler, request, headers)


def post_batch(
    handler: Handler,
    body: object,
    key: str | None = None,
    *,
    api_key_id: str | None = None,
    query: Mapping[str, str] | None = None,
) -> Reply:
    """Send POST /generate/batch; text is sent unchanged, everything else as JSON."""
    request = event("generate/batch")
    request["body"] = body if isinstance(body, str | None) else json.dumps(body)
    request["requestContext"]["identity"]["apiKeyId"] = api_key_id
    for headers in (request["headers"], request["multiValueHeaders"]):
        del headers["Idempotency-Key"]
    if query:
        _set_query(request, query)
    return _call(handler, request, {"Idempotency-Key": key} if key else None)


def manage(
    handler: Handler,
    method: str,
    qr_id: str = "",
    *,
    api_key_id: str | None = None,
    body: object = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send a request of /codes; with an id of /codes/{qr_id}, or of `ID/scans`."""
    if isinstance(body, dict):
        transcript.keep_out(*(str(value) for value in body.values()))
    request = event("manage/list")
    request["httpMethod"] = request["requestContext"]["httpMethod"] = method
    request["requestContext"]["identity"]["apiKeyId"] = api_key_id
    if qr_id:
        request["path"] = f"/codes/{qr_id}"
        qr_id, slash, more = qr_id.partition("/")
        request["resource"] = f"/codes/{{qr_id}}{slash}{more}"
        request["pathParameters"] = {"qr_id": qr_id}
    _set_query(request, query)
    request["body"] = body if isinstance(body, str | None) else json.dumps(body)
    return _call(handler, request, headers)


def get_retrieve(
    handler: Handler,
    qr_id: str,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
) -> Reply:
    """Send GET, or HEAD, of /retrieve/{qr_id}."""
    case = "retrieve/json" if method == "GET" else "retrieve/head"
    return _get(handler, case, qr_id, headers, query)


def get_scan(
    handler: Handler,
    slug: str,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
) -> Reply:
    """Send GET, or HEAD, of /s/{slug}, as the browser of a telephone does."""
    case = "redirect/scan" if method == "GET" else "redirect/head"
    return _get(handler, case, slug, headers, query)


def _get(
    handler: Handler,
    case: str,
    name: str,
    headers: Mapping[str, str] | None,
    query: Mapping[str, str] | None,
) -> Reply:
    """Send an event with another name in place of its only path parameter."""
    request = event(case)
    ((parameter, old),) = request["pathParameters"].items()
    request["pathParameters"] = {parameter: name}
    request["path"] = request["path"].replace(old, name)
    context = request["requestContext"]
    context["path"] = context["path"].replace(old, name)
    if query:
        _set_query(request, query)
    return _call(handler, request, headers)


def get_health(handler: Handler) -> Reply:
    """Send GET /health."""
    return _call(handler, event("retrieve/health"), None)


def _set_query(request: dict[str, Any], query: Mapping[str, str] | None) -> None:
    request["queryStringParameters"] = dict(query or {})
    request["multiValueQueryStringParameters"] = {
        name: [value] for name, value in (query or {}).items()
    }


def _call(
    handler: Handler, request: dict[str, Any], headers: Mapping[str, str] | None
) -> Reply:
    for name, value in (headers or {}).items():
        request["headers"] = _without(request["headers"], name) | {name: value}
        request["multiValueHeaders"] = _without(request["multiValueHeaders"], name)
        request["multiValueHeaders"][name] = [value]
    answer = handler(copy.deepcopy(request), Context())
    found = {
        name.lower(): values[-1] for name, values in answer["multiValueHeaders"].items()
    }
    is_page = found.get("content-type", "").startswith("text/html")
    body = json.loads(answer["body"]) if answer["body"] and not is_page else {}
    reply = Reply(answer["statusCode"], found, body, answer["body"] if is_page else "")
    signed = urlsplit(found.get("location", body.get("qr_code", "")))
    transcript.keep_out(*parse_qs(signed.query).get("X-Amz-Signature", []))
    transcript.keep_out(*([body["image"][-80:]] if "image" in body else []))
    return reply


def _without(headers: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in headers.items() if k.lower() != name.lower()}
