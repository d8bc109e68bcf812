"""POST /generate and /generate/batch: create codes, or replay earlier answers."""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from qr_service.batch import at_once, time_left
from qr_service.config import settings
from qr_service.edge import batch, http
from qr_service.edge.request import (
    QUERY,
    GenerateRequest,
    check_idempotency_key,
    parse,
    parse_query,
)
from qr_service.errors import BadRequest, OutOfTime, QRError
from qr_service.generation import Answer, CodeGenerator, Order, Outcome
from qr_service.proving import preview, warm_up
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.storage import Storage
from qr_service.stores.table import CodeTable
from qr_service.telemetry import logger, metrics

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
    key = _idempotency_key(event)
    dry_run, with_image = parse_query(http.query_of(event, QUERY))
    request = parse(http.body_of(event), settings(), http.host_of(event))
    if dry_run:
        found = preview(request, settings(), with_image=with_image)
        return http.respond(HTTPStatus.OK, found)
    order = Order(request, key, with_image)
    answer = generator().generate(order, http.owner_of(event))
    headers = {"Location": http.link_to(event, f"/retrieve/{answer.body['qr_id']}")}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return http.respond(HTTPStatus.CREATED, answer.body, headers)


@app.post("/generate/batch")
def generate_many() -> Response[str]:
    """Return 200 with a result for each item: its answer, or its problem document.

    With `?dry_run=true`, store nothing; an answer then is properties of the image.
    """
    in_time = time_left()
    event = app.current_event
    key = _idempotency_key(event)
    dry_run, _ = parse_query(http.query_of(event, batch.QUERY))
    items = batch.parse_batch(http.body_of(event), settings(), http.host_of(event))
    requests = [
        (item.ref, item.request)
        for item in items
        if isinstance(item.request, GenerateRequest)
    ]
    if dry_run:
        done = HTTPStatus.OK
        outcomes = [_previewed(request, in_time) for _, request in requests]
    else:
        done = HTTPStatus.CREATED
        orders = [Order(request, batch.key_of(key, ref)) for ref, request in requests]
        outcomes = generator().generate_all(
            orders, http.owner_of(event), spread=at_once, in_time=in_time
        )
    left, request_id = iter(outcomes), event.request_context.request_id
    results = [
        {
            "ref": item.ref,
            **_result(
                item.request if isinstance(item.request, BadRequest) else next(left),
                done,
                request_id,
            ),
        }
        for item in items
    ]
    statuses = [result["status"] for result in results]
    logger.append_keys(items=len(items), refused=len(items) - statuses.count(done))
    errors = sum(status >= HTTPStatus.INTERNAL_SERVER_ERROR for status in statuses)
    metrics.add_metric("ServerErrors", unit="Count", value=errors)
    return http.respond(HTTPStatus.OK, {"results": results})


def _previewed(request: GenerateRequest, in_time: Callable[[], bool]) -> Outcome:
    if not in_time():
        return OutOfTime()
    try:
        return Answer(preview(request, settings()))
    except Exception as error:  # noqa: BLE001  it spoils no other item
        return error


def _result(outcome: Outcome, done: HTTPStatus, request_id: str) -> dict[str, Any]:
    """Return the result of an item; what would be headers are members."""
    if isinstance(outcome, Answer):
        replayed = {"replayed": True} if outcome.replayed else {}
        return {"status": int(done), **outcome.body, **replayed}
    error = outcome if isinstance(outcome, QRError) else http.unexpected(outcome)
    result = http.document_of(error, request_id)
    if "Retry-After" in error.headers:
        result["retry_after"] = int(error.headers["Retry-After"])
    return result


def _idempotency_key(event: APIGatewayProxyEvent) -> str | None:
    key = event.headers.get("Idempotency-Key")
    return None if key is None else check_idempotency_key(key)


# In Lambda's INIT phase, which has a processor of its own and is over before a request.
warm_up()

handler = http.entrypoint(app)
