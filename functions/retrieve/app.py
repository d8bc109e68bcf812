"""GET and HEAD of /retrieve/{qr_id}, a presigned URL or a redirect, and of /health."""

from functools import cache
from http import HTTPStatus

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from qr_service.config import settings
from qr_service.edge import http
from qr_service.errors import timestamp
from qr_service.retrieval import Retriever
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.presigned import PresignedUrls
from qr_service.stores.table import CodeTable

app = http.resolver()


@cache
def retriever() -> Retriever:
    """Return the retriever of this execution environment."""
    table = CodeTable(Database(settings()))
    return Retriever(table, PresignedUrls(settings()), Cache(settings()))


@app.route("/retrieve/{qr_id}", method=["GET", "HEAD"])
def retrieve() -> Response[str]:
    """Return 200 with the URL of the image, or 302 to it if an image is requested."""
    event = app.current_event
    # A redirect of a HEAD leads to a HEAD, which S3 answers only if signed for it.
    method = event.http_method
    code = retriever().retrieve(event.path_parameters["qr_id"], method)
    body = {
        "qr_code": code.url,
        "expires_at": timestamp(code.expires_at),
        "url_expires_at": timestamp(code.url_expires_at),
    }
    if _wants_image(event):
        headers = {"Vary": "Accept", "Location": code.url}
        return http.respond(HTTPStatus.FOUND, body, headers)
    return http.respond(HTTPStatus.OK, body, {"Vary": "Accept"})


@app.route("/health", method=["GET", "HEAD"])
def health() -> Response[str]:
    """Return 200 if codes can be retrieved, even if the cache is unavailable."""
    return http.respond(HTTPStatus.OK, retriever().health())


def _wants_image(event: APIGatewayProxyEvent) -> bool:
    if event.query_string_parameters.get("redirect") == "1":
        return True
    return http.prefers_image(event.headers.get("Accept", ""))


handler = http.entrypoint(app)
