"""HTTP: API Gateway events in, responses and problem documents out (RFC 9457).

`resolver` routes requests and turns errors into responses. `entrypoint` wraps it in a
Lambda handler with log context, metrics, CORS headers and one log line per request.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import (
    APIGatewayRestResolver,
    Response,
)
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from qr_service.config import settings
from qr_service.errors import BadField, BadRequest, NotFound, QRError, shown
from qr_service.telemetry import describe, frames, logger, metrics

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]
Report = Callable[[APIGatewayRestResolver, QRError], Response[str]]

_WEIGHT = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)")
PRINTED = ("application/pdf", "application/postscript")
EXPOSED_HEADERS = "ETag, Location, Retry-After, Idempotency-Replayed"


def problem(app: APIGatewayRestResolver, error: QRError) -> Response[str]:
    """Return the response that reports an error to the client."""
    document = document_of(error, app.current_event.request_context.request_id)
    return respond(
        error.status, document, error.headers, content_type="application/problem+json"
    )


def document_of(error: QRError, request_id: str) -> dict[str, Any]:
    """Return the problem document of an error."""
    status = HTTPStatus(error.status)
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
        **error.fields,
    }


def unexpected(error: Exception) -> QRError:
    """Log an error that no client has caused; return what the client is answered."""
    logger.error("unexpected error", **describe(error), trace=frames(error))
    return QRError("An unexpected error; it has been logged.")


def resolver(report: Report = problem) -> APIGatewayRestResolver:
    """Return a resolver that answers every error with the response `report` makes."""
    app = APIGatewayRestResolver(serializer=_dump)

    @app.exception_handler(QRError)  # type: ignore[untyped-decorator]
    def known(error: QRError) -> Response[str]:
        logger.append_keys(**describe(error))
        return report(app, error)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unknown(error: Exception) -> Response[str]:
        return report(app, unexpected(error))

    @app.not_found
    def no_route(_: Exception) -> Response[str]:
        return report(app, NotFound("There is no such route."))

    return app


def respond(
    status: HTTPStatus,
    body: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "application/json",
) -> Response[str]:
    """Return a JSON response that no cache on the way to the client may store."""
    return Response(
        status_code=int(status),
        content_type=content_type,
        body=_dump(body),
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def body_of(event: APIGatewayProxyEvent) -> bytes:
    """Return the request body as the client sent it; raises BadRequest."""
    text = event.body or ""
    try:
        if event.is_base64_encoded:
            return base64.b64decode(text, validate=True)
        return text.encode()
    except ValueError:  # not base64, or text that UTF-8 cannot encode
        raise BadRequest("invalid_json", "The body is not JSON in UTF-8.") from None


def query_of(event: APIGatewayProxyEvent, names: Sequence[str]) -> dict[str, str]:
    """Return the query parameters of a route that accepts only these.

    Raises BadRequest for another parameter, and if one is repeated.
    """
    given = event.resolved_query_string_parameters
    for other in sorted(given.keys() - set(names)):
        raise BadRequest(
            "unknown_field",
            f"{shown(other)} is not a query parameter of this request.",
            field=shown(other),
            allowed=list(names),
        )
    for name, values in given.items():
        if len(values) > 1:
            raise BadField(name, ", ".join(values), "given once")
    return {name: values[0] for name, values in given.items()}


def owner_of(event: APIGatewayProxyEvent) -> str:
    """Return whose codes a request is about: the id of the API key."""
    return event.request_context.identity.api_key_id or "anonymous"


def host_of(event: APIGatewayProxyEvent) -> str:
    """Return the host that was called, as API Gateway knows it, not by a header."""
    return event.request_context.domain_name or ""


def prefers_image(accept: str) -> bool:
    """Return whether an Accept header prefers an image to JSON (RFC 9110, 12.5.1).

    PDF and PostScript count as images. An image type that is named is preferred to JSON
    that only a wildcard allows.
    """
    weights = dict(_weights(accept))
    images = [weights[name] for name in weights if name.startswith("image/")]
    images += [weights[name] for name in PRINTED if name in weights]
    image = max(images, default=0)
    if "application/json" in weights:
        return image > weights["application/json"]
    wildcard = max(weights.get("application/*", 0), weights.get("*/*", 0))
    return image > 0 and image >= wildcard


def prefers_json(accept: str) -> bool:
    """Return whether an Accept header names JSON, and prefers it to HTML."""
    weights = dict(_weights(accept))
    names = ("application/json", "application/problem+json")
    json_ = max(weights.get(name, 0) for name in names)
    return json_ > weights.get("text/html", 0)


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Yield the media ranges of an Accept header with their weights, 0..1."""
    for media_range in accept.lower().split(","):
        name, *parameters = media_range.split(";")
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                valid = _WEIGHT.fullmatch(value.strip())
                weight = float(value) if valid else 0.0
        yield name.strip(), weight


def link_to(event: APIGatewayProxyEvent, path: str) -> str:
    """Return a path of this API as the client must request it.

    It starts with the stage, or with the base path of a custom domain, just like the
    path of the event. The event's own resource must be one without parameters.
    """
    called = event.request_context.path or ""
    return called.removesuffix("/").removesuffix(event.resource) + path


def entrypoint(app: APIGatewayRestResolver) -> Handler:
    """Return the Lambda handler of an API function."""

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        started = time.perf_counter()
        origin = settings().cors_allow_origin
        # The gateway has already routed: its resource names the route. The path may
        # start with a custom domain's base path, and contain any character.
        event = {**event, "path": event["resource"]}
        # The id in problem documents and in the gateway's access log.
        logger.append_keys(request_id=event["requestContext"]["requestId"])
        response = app.resolve(event, context)
        if event["httpMethod"] == "HEAD":
            response["body"] = ""
        headers = response["multiValueHeaders"]
        headers["Access-Control-Allow-Origin"] = [origin]
        headers["Access-Control-Expose-Headers"] = [EXPOSED_HEADERS]
        status = response["statusCode"]
        metrics.add_metric("ServerErrors", unit="Count", value=int(status >= 500))
        logger.info(
            "request",
            route=f"{event.get('httpMethod')} {event.get('resource')}",
            status=status,
            duration_ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return response

    return handler


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
