"""POST /generate: creates a code, or replays the answer to its Idempotency-Key."""

from functools import cache
from http import HTTPStatus

from aws_lambda_powertools.event_handler.api_gateway import Response
from qr_service.config import settings
from qr_service.edge import http
from qr_service.edge.request import QUERY, check_idempotency_key, parse, parse_query
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

    With `?dry_run=true`, store nothing and return 200 with properties of the image;
    with `?include=image`, return the image too.
    """
    event = app.current_event
    key = event.headers.get("Idempotency-Key")
    if key is not None:
        key = check_idempotency_key(key)
    dry_run, with_image = parse_query(http.query_of(event, QUERY))
    request = parse(http.body_of(event), settings(), http.host_of(event))
    if dry_run:
        found = preview(request, settings(), with_image=with_image)
        return http.respond(HTTPStatus.OK, found)
    owner = http.owner_of(event)
    answer = generator().generate(request, owner, key, with_image=with_image)
    headers = {"Location": http.link_to(event, f"/retrieve/{answer.body['qr_id']}")}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return http.respond(HTTPStatus.CREATED, answer.body, headers)


# In Lambda's INIT phase, which has a processor of its own and is over before a request.
warm_up()

handler = http.entrypoint(app)
