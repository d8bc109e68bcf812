"""GET and HEAD of /s/{slug}: a scan of a printed code, sent on to its target."""

from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import (
    APIGatewayRestResolver,
    Response,
)
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from qr_service.config import settings
from qr_service.edge import http, scan_pages
from qr_service.edge.scanners import scanner_of
from qr_service.errors import QRError, timestamp
from qr_service.redirection import Destination, Redirector
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.links import LinkTable

NO_INDEX = {"X-Robots-Tag": "noindex"}


def report(app: APIGatewayRestResolver, error: QRError) -> Response[str]:
    """Return an error as a page, or as a problem document if Accept prefers JSON."""
    response = http.problem(app, error)
    if not _wants_json(app.current_event):
        response.body = scan_pages.of_error(error)
        response.headers |= scan_pages.HEADERS
    response.headers |= {**NO_INDEX, "Vary": "Accept"}
    return response


app = http.resolver(report)


@cache
def redirector() -> Redirector:
    """Return the redirector of this execution environment."""
    return Redirector(LinkTable(Database(settings())), Cache(settings()))


@app.route("/s/{slug}", method=["GET", "HEAD"])
def scan() -> Response[str]:
    """Return 302 to the target; with `?preview=1`, 200 and a page that shows it.

    Other query parameters are ignored, because whoever shares a link may add some.
    """
    event = app.current_event
    destination = redirector().find(event.path_parameters["slug"])
    if event.query_string_parameters.get("preview") == "1":
        return _preview(event, destination)
    if event.http_method == "GET":
        redirector().count(destination, scanner_of(event.headers))
    headers = {"Location": destination.url, "Cache-Control": "no-store", **NO_INDEX}
    return Response(status_code=int(HTTPStatus.FOUND), body="", headers=headers)


def _preview(event: APIGatewayProxyEvent, destination: Destination) -> Response[str]:
    headers: dict[str, Any] = {**NO_INDEX, "Vary": "Accept"}
    if _wants_json(event):
        body = {
            "target": destination.url,
            "expires_at": timestamp(destination.link.expires_at),
            "expired": destination.is_over,
        }
        return http.respond(HTTPStatus.OK, body, headers)
    return Response(
        status_code=int(HTTPStatus.OK),
        body=scan_pages.of_target(
            destination.url, destination.link.expires_at, is_over=destination.is_over
        ),
        headers={"Cache-Control": "no-store", **headers, **scan_pages.HEADERS},
    )


def _wants_json(event: APIGatewayProxyEvent) -> bool:
    return http.prefers_json(event.headers.get("Accept", ""))


handler = http.entrypoint(app)
