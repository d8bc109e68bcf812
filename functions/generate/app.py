"""POST /generate: creates a code, or replays the answer to its Idempotency-Key."""

from functools import cache
from http import HTTPStatus

from aws_lambda_powertools.event_handler.api_gateway import Response
from qr_service.config import settings
from qr_service.edge import http
from qr_service.edge.request import check_idempotency_key, parse
from qr_service.generation import CodeGenerator, preview, warm_up
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable

app = http.resolver()


@cache
def generator() -> CodeGenerator:
    """Return the generator of this execution environment."""
    table = CodeTable(Database(settings()))
    return CodeGenerator(table, Storage(settings()), Cache(settings()), settings())


@app.post("/generate")
def generate() -> Response[str]:
    """Return 201 with the id of the code and when it expires.

    With `?dry_run=true`, store nothing and return 200 with properties of the image.
    """
    event = app.current_event
    key = event.headers.get("Idempotency-Key")
    if key is not None:
        key = check_idempotency_key(key)
    request = parse(http.body_of(event), settings(), http.host_of(event))
    if http.flag_of(event, "dry_run"):
        return http.respond(HTTPStatus.OK, preview(request, settings()))
    answer = generator().generate(request, http.owner_of(event), key)
    headers = {"Location": http.link_to(event, f"/retrieve/{answer.body['qr_id']}")}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return http.respond(HTTPStatus.CREATED, answer.body, headers)


# In Lambda's INIT phase, which has a processor of its own and is over before a request.
warm_up()

handler = http.entrypoint(app)
