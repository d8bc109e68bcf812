"""GET /codes, GET, PATCH and DELETE of /codes/{qr_id}, and GET of its scans.

Operators invoke it directly: `{"end": ID}` ends a code, by its id or its slug,
`{"end_owner": ID}` all codes of an API key's id, `{"transfer": {"from": ID, "to": ID}}`
gives them to another one. The answer of the last two says how many it reached, and
whether these are all; if not, invoke it again.
"""

from dataclasses import asdict
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from qr_service.config import settings
from qr_service.edge import events, http, manage
from qr_service.errors import timestamp
from qr_service.management import Manager
from qr_service.scans import Scans
from qr_service.stores.cache import Cache
from qr_service.stores.database import Database
from qr_service.stores.owned import OwnedCode, OwnedTable
from qr_service.stores.scans import ScanTable
from qr_service.stores.storage import Storage
from qr_service.telemetry import SafeError

# Left at the end of the function's time, for the batch in progress.
SPARE_SECONDS = 10

app = http.resolver()


@cache
def manager() -> Manager:
    """Return the manager of this execution environment."""
    database, in_cache = Database(settings()), Cache(settings())
    return Manager(
        OwnedTable(database),
        Storage(settings()),
        in_cache,
        Scans(ScanTable(database), in_cache),
        grace=timedelta(days=settings().grace_days),
    )


@app.get("/codes")
def list_codes() -> Response[str]:
    """Return 200 with a page of the owner's codes, newest first."""
    event = app.current_event
    query = manage.parse_query(http.query_of(event, manage.QUERY))
    page, last = manager().living(http.owner_of(event), query)
    following = last and manage.cursor_of(last.created_at, last.code.qr_id)
    body = {"codes": [_shown(each) for each in page], "next": following}
    return http.respond(HTTPStatus.OK, body)


@app.get("/codes/{qr_id}")
def read() -> Response[str]:
    """Return 200 with a code, and its revision as the ETag."""
    event = app.current_event
    http.query_of(event, ())
    return _answer(manager().read(http.owner_of(event), _id()))


@app.patch("/codes/{qr_id}")
def change() -> Response[str]:
    """Return 200 with the changed code."""
    event = app.current_event
    http.query_of(event, ())
    host = http.host_of(event)
    patch = manage.parse_patch(http.body_of(event), settings(), host)
    condition = manage.precondition(event.headers.get("If-Match"))
    return _answer(manager().change(http.owner_of(event), _id(), patch, condition))


@app.delete("/codes/{qr_id}")
def end() -> Response[str]:
    """Return 204 when the code is ended."""
    event = app.current_event
    http.query_of(event, ())
    condition = manage.precondition(event.headers.get("If-Match"))
    manager().end(http.owner_of(event), _id(), condition)
    return Response(status_code=int(HTTPStatus.NO_CONTENT), body="")


@app.get("/codes/{qr_id}/scans")
def scans() -> Response[str]:
    """Return 200 with how often a dynamic code was scanned, by day."""
    event = app.current_event
    first, last = manage.parse_days(http.query_of(event, manage.DAYS))
    days = manager().scans_of(http.owner_of(event), _id(), first, last)
    body = {
        "people": sum(each.people for each in days),
        "bots": sum(each.bots for each in days),
        "days": [
            {"day": f"{each.day}", "people": each.people, "bots": each.bots}
            for each in days
        ],
    }
    return http.respond(HTTPStatus.OK, body)


def _id() -> str:
    qr_id: str = app.current_event.path_parameters["qr_id"]
    return qr_id


def _answer(code: OwnedCode) -> Response[str]:
    tag = manage.tag_of(code.code.revision)
    return http.respond(HTTPStatus.OK, _shown(code), {"ETag": tag})


def _shown(owned: OwnedCode) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "qr_id": owned.code.qr_id,
        "label": owned.label,
        "data": owned.data,
        "format": owned.format,
        "created_at": timestamp(owned.created_at),
        "expires_at": timestamp(owned.code.expires_at),
    }
    if owned.slug:
        kept_until = owned.kept_until or owned.code.expires_at
        shown |= {
            "short_url": owned.printed,
            "expired_url": owned.expired_url,
            "count": owned.counts,
            "kept_until": timestamp(kept_until),
        }
    if owned.targets:
        shown["targets"] = owned.targets
    return shown


def operate(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do what an operator requests, for as long as there is time."""

    def has_time() -> bool:
        left: float = context.get_remaining_time_in_millis() / 1000
        return left > SPARE_SECONDS

    match event:
        case {"end": str(name)}:
            return manager().end_any(name)
        case {"end_owner": str(owner)}:
            progress = manager().end_owner(owner, has_time)
        case {"transfer": {"from": str(source), "to": str(target)}} if source != target:
            progress = manager().transfer(source, target, has_time)
        case _:
            raise SafeError(
                'none of {"end": ID}, {"end_owner": ID}, {"transfer": {"from", "to"}}'
            )
    return asdict(progress)


_serve, _operate = http.entrypoint(app), events.entrypoint(operate)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer API Gateway, which always names a method, or an operator."""
    return _serve(event, context) if "httpMethod" in event else _operate(event, context)
