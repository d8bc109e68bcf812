"""GET /retrieve/{qr_id}: a presigned URL, or a redirect to it; and GET /health."""

from functools import cache
from http import HTTPStatus

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from qr_service import http
from qr_service.cache import Cache
from qr_service.config import settings
from qr_service.database import Database
from qr_service.errors import timestamp
from qr_service.links import Links
from qr_service.retrieval import Retriever

app = http.resolver()


@cache
def retriever() -> Retriever:
    """The retriever of this execution environment."""
    return Retriever(Database(settings()), Links(settings()), Cache(settings()))


@app.get("/retrieve/<qr_id>")
def retrieve(qr_id: str) -> Response[str]:
    """200 with the URL of the image; 302 to it where an image is asked for."""
    link = retriever().retrieve(qr_id)
    body = {
        "qr_code": link.url,
        "expires_at": timestamp(link.expires_at),
        "url_expires_at": timestamp(link.url_expires_at),
    }
    if _wants_image(app.current_event):
        headers = {"Vary": "Accept", "Location": link.url}
        return http.respond(HTTPStatus.FOUND, body, headers)
    return http.respond(HTTPStatus.OK, body, {"Vary": "Accept"})


@app.get("/health")
def health() -> Response[str]:
    """200 when codes can be retrieved; the cache may be away."""
    return http.respond(HTTPStatus.OK, retriever().health())


def _wants_image(event: APIGatewayProxyEvent) -> bool:
    if event.query_string_parameters.get("redirect") == "1":
        return True
    accepted = event.headers.get("Accept", "").lower()
    return "image/" in accepted and "application/json" not in accepted


handler = http.entrypoint(app)
