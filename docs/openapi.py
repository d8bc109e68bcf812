"""The OpenAPI document: functions/pages/openapi.json, written by `make docs`.

Its bodies are in schemas.py, its errors come from errors.py, and its examples are the
events below events/, which the tests send and whose answers they compare with it.
"""

import json
from collections.abc import Iterator
from typing import Any

from qr_service import errors
from qr_service.edge.batch import MAX_BODY as MOST_BATCH
from qr_service.edge.batch import MOST_ITEMS
from qr_service.edge.manage import LISTED, MOST_LISTED
from qr_service.edge.request import MAX_BODY
from qr_service.errors import QRError

from docs.schemas import SCHEMAS, Document
from local.project import EVENTS

# In the document, in place of the API's own address; GET /openapi.json replaces it.
BASE = "https://qr.example.com"
# The events of generate that are examples, and what they show.
EXAMPLES = {
    "url": "A code",
    "dynamic": "A dynamic code: its target can be changed after it was printed",
    "idempotent": "A code that exists once, however often the request is repeated",
    "dry_run": "A dry run: what would come of it, and nothing is stored",
    "svg": "An SVG",
    "styled": "Colours, size and error correction",
    "rounded": "Rounded modules",
    "gradient": "A gradient",
    "logo": "A logo",
    "wifi": "A Wi-Fi network",
    "contact": "A contact",
    "payment": "A SEPA credit transfer",
    "pdf": "A PDF for a print shop, 30 mm wide",
    "label_printer": "A PNG for a label printer of 203 dpi, 20 mm wide",
    "japanese": "Text that is not ASCII",
}

HEADERS: Document = {
    "Location": "The address of the code, of its image, or of its target.",
    "Retry-After": "Seconds after which the request can be repeated.",
    "ETag": "The version of the document, or the revision of the code.",
    "Idempotency-Replayed": "`true` if this is the answer to an earlier request.",
}
FORBIDDEN = "No API key, or a wrong one (`forbidden`)."
THROTTLED = "Too many requests (`throttled`, `quota_exceeded`)."
OF_GENERATE = [
    errors.BadRequest,
    errors.BodyTooLarge,
    errors.DataTooLong,
    errors.Unscannable,
    errors.IdempotencyMismatch,
    errors.DynamicUnavailable,
    errors.Unavailable,
]
OF_MANAGE = [errors.BadRequest, errors.Unavailable]
OF_OWNED = [errors.BadRequest, errors.NotFound, errors.Expired, errors.Unavailable]
OF_RETRIEVE = [errors.BadRequest, errors.NotFound, errors.Expired, errors.Unavailable]
OF_REDIRECT = [errors.NotFound, errors.Expired, errors.Unavailable]
HTML: Document = {"text/html": {"schema": {"type": "string"}}}


def content(name: str, examples: Document | None = None) -> Document:
    """Return a JSON body with one of the SCHEMAS."""
    shown = {"examples": examples} if examples else {}
    return {
        "application/json": {
            "schema": {"$ref": f"#/components/schemas/{name}"},
            **shown,
        }
    }


def response(about: str, name: str = "", *headers: str) -> Document:
    """Return a response with a body, and with some of the HEADERS."""
    found: Document = {"description": about}
    if headers:
        found["headers"] = {
            header: {"description": HEADERS[header], "schema": {"type": "string"}}
            for header in headers
        }
    return {**found, "content": content(name)} if name else found


def problems(raised: list[type[QRError]], *, key: bool) -> Document:
    """Return the responses of errors by status, with API Gateway's own."""
    words: dict[int, list[str]] = {}
    for error in [*raised, QRError]:
        about = (error.__doc__ or "").partition("\n")[0].rstrip(".")
        codes = "" if error is errors.BadRequest else f" (`{error.code}`)"
        words.setdefault(int(error.status), []).append(f"{about}{codes}.")
    texts = {status: " ".join(each) for status, each in words.items()} | {
        429: THROTTLED
    }
    if key:
        texts[403] = FORBIDDEN
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        str(status): {
            **response(text, "", *(["Retry-After"] if status in (429, 503) else [])),
            "content": {"application/problem+json": problem},
        }
        for status, text in sorted(texts.items())
    }


def body_of(event: str) -> Any:
    """Return the body of one of the events, by its name below events/."""
    return json.loads(json.loads((EVENTS / f"{event}.json").read_text())["body"])


def examples() -> Iterator[tuple[str, Document]]:
    """Yield the EXAMPLES: what each shows, and its event."""
    for name, title in EXAMPLES.items():
        yield title, json.loads((EVENTS / "generate" / f"{name}.json").read_text())


DRY_RUN: Document = {
    "name": "dry_run",
    "in": "query",
    "description": "True: nothing is stored, and no code is created.",
    "schema": {"type": "string", "enum": ["true", "false"]},
}


def idempotency_key(about: str) -> Document:
    """Return the parameter with which a request can be repeated."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": about,
        "schema": {
            "type": "string",
            "maxLength": 255,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
    }


def generate() -> Document:
    """Return the operation POST /generate."""
    bodies = {
        name: {"summary": title, "value": json.loads(event["body"])}
        for name, (title, event) in zip(EXAMPLES, examples(), strict=True)
    }
    return {
        "operationId": "generate",
        "summary": "Create a code.",
        "description": f"A body has at most {MAX_BODY // 1024} KiB. The image is read "
        "back before it is stored.",
        "security": [{"ApiKey": []}],
        "parameters": [
            DRY_RUN,
            {
                "name": "include",
                "in": "query",
                "description": "`image`: the answer has the image itself, as `image`.",
                "schema": {"type": "string", "enum": ["image"]},
            },
            idempotency_key(
                "A repeated request with the same key creates no second code: it gets "
                "the first answer again."
            ),
        ],
        "requestBody": {
            "required": True,
            "content": content("GenerateRequest", bodies),
        },
        "responses": {
            "200": response("The properties of the image (dry run).", "Preview"),
            "201": response(
                "The code.", "Generated", "Location", "Idempotency-Replayed"
            ),
            **problems(OF_GENERATE, key=True),
        },
    }


def generate_batch() -> Document:
    """Return the operation POST /generate/batch."""
    shown = {"batch": {"value": body_of("generate/batch")}}
    return {
        "operationId": "generate_batch",
        "summary": f"Create up to {MOST_ITEMS} codes.",
        "description": f"A body has at most {MOST_BATCH // 1024} KiB. One item that is "
        "wrong spoils no other.",
        "security": [{"ApiKey": []}],
        "parameters": [
            DRY_RUN,
            idempotency_key(
                "A repeated batch with the same key completes what is missing, and "
                "creates no item twice."
            ),
        ],
        "requestBody": {"required": True, "content": content("BatchRequest", shown)},
        "responses": {
            "200": response("What became of each item.", "Batch"),
            **problems(
                [errors.BadRequest, errors.BodyTooLarge, errors.Unavailable], key=True
            ),
        },
    }


def retrieve(name: str, about: str, schema: str) -> Document:
    """Return the operation GET or HEAD of /retrieve/{qr_id}."""
    return {
        "operationId": name,
        "summary": about,
        "parameters": [
            QR_ID,
            {
                "name": "redirect",
                "in": "query",
                "description": "1: redirect to the image, which an `Accept` with an "
                "image type does as well.",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "200": response("Where the image is.", schema),
            "302": response("The image.", "", "Location"),
            **problems(OF_RETRIEVE, key=False),
        },
    }


def redirect(name: str, about: str, schema: str) -> Document:
    """Return the operation GET or HEAD of /s/{slug}."""
    shown = response("Where the code leads (preview).", schema)
    refused = problems(OF_REDIRECT, key=False)
    for each in (shown, *(refused[status] for status in ("404", "410", "500", "503"))):
        if "content" in each:
            each["content"] |= HTML
    return {
        "operationId": name,
        "summary": about,
        "description": "Answers are pages, or JSON if `Accept` prefers it. Other query "
        "parameters are ignored, and not passed on.",
        "parameters": [
            {
                "name": "slug",
                "in": "path",
                "required": True,
                "description": "The end of the short URL. Lower case is read as well, "
                "`O` as `0`, `I` and `L` as `1`.",
                "schema": {"type": "string"},
            },
            {
                "name": "preview",
                "in": "query",
                "description": "1: show the target, and do not go there.",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "200": shown,
            "302": response(
                "The target, or after the end `expired_url`.", "", "Location"
            ),
            **refused,
        },
    }


QR_ID: Document = {
    "name": "qr_id",
    "in": "path",
    "required": True,
    "description": "The id of a code.",
    "schema": {"type": "string", "format": "uuid"},
}


TAGS = r'^(\*|"[0-9]+"(, "[0-9]+")*)$'


def if_match(about: str, *, required: bool) -> Document:
    """Return the parameter with the revision that a change was decided on."""
    return {
        "name": "If-Match",
        "in": "header",
        "required": required,
        "description": about,
        "schema": {"type": "string", "pattern": TAGS},
        "example": '"1"',
    }


def owned(name: str, about: str, **more: Any) -> Document:
    """Return an operation on the codes of the API key's owner."""
    return {
        "operationId": name,
        "summary": about,
        "security": [{"ApiKey": []}],
        **more,
    }


def list_codes() -> Document:
    """Return the operation GET /codes."""
    parameters = {
        "cursor": ("`next` of the page before.", {"type": "string"}),
        "limit": (
            f"Codes on a page, {LISTED} by default.",
            {"type": "integer", "minimum": 1, "maximum": MOST_LISTED},
        ),
        "expires_before": (
            "Only codes that end before this moment, such as 2030-01-31T12:00:00Z.",
            {"type": "string", "format": "date-time"},
        ),
    }
    return owned(
        "list_codes",
        "List your codes, newest first: those that live, or can be brought back.",
        parameters=[
            {"name": name, "in": "query", "description": about, "schema": schema}
            for name, (about, schema) in parameters.items()
        ],
        responses={
            "200": response("A page of codes.", "Codes"),
            **problems(OF_MANAGE, key=True),
        },
    )


def code() -> Document:
    """Return the operations of /codes/{qr_id}."""
    shown = response("The code.", "Code", "ETag")
    return {
        "get": owned(
            "read_code",
            "Read one of your codes.",
            parameters=[QR_ID],
            responses={"200": shown, **problems(OF_OWNED, key=True)},
        ),
        "patch": owned(
            "change_code",
            "Change one of your codes, or bring it back.",
            description="A JSON merge patch (RFC 7396): what is absent stays. The "
            "image stays as it is.",
            parameters=[
                QR_ID,
                if_match("The `ETag` of the code as it was read.", required=True),
            ],
            requestBody={
                "required": True,
                "content": {
                    "application/merge-patch+json": {
                        "schema": {"$ref": "#/components/schemas/ChangeRequest"},
                        "examples": {"change": {"value": body_of("manage/change")}},
                    }
                },
            },
            responses={
                "200": shown,
                **problems(
                    [
                        *OF_OWNED,
                        errors.PreconditionFailed,
                        errors.BodyTooLarge,
                        errors.NotDynamic,
                        errors.PreconditionRequired,
                    ],
                    key=True,
                ),
            },
        ),
        "delete": owned(
            "end_code",
            "End one of your codes at once, and erase it.",
            parameters=[
                QR_ID,
                if_match("If given, only this revision is ended.", required=False),
            ],
            responses={
                "204": response("It has ended."),
                **problems([*OF_OWNED, errors.PreconditionFailed], key=True),
            },
        ),
    }


def scans() -> Document:
    """Return the operation GET /codes/{qr_id}/scans."""
    days = {"from": "The first day (UTC).", "to": "The last day (UTC)."}
    return owned(
        "scans",
        "Read how often a dynamic code was scanned.",
        description="Those who went to the target: people, and known bots apart. What "
        "the cache has counted since the last hourly flush is lost if the cache is.",
        parameters=[
            QR_ID,
            *(
                {
                    "name": name,
                    "in": "query",
                    "description": about,
                    "schema": {"type": "string", "format": "date"},
                }
                for name, about in days.items()
            ),
        ],
        responses={
            "200": response("The counts.", "Scans"),
            **problems([*OF_OWNED, errors.NotDynamic], key=True),
        },
    )


def health(name: str, about: str, schema: str) -> Document:
    """Return the operation GET or HEAD of /health."""
    return {
        "operationId": name,
        "summary": about,
        "responses": {
            "200": response("Database and service work.", schema),
            **problems([errors.Unavailable], key=False),
        },
    }


def page(name: str, about: str, kind: str) -> Document:
    """Return the operation GET of one of the documents."""
    found = response(about, "", "ETag")
    schema: Document = {"type": "object" if kind == "application/json" else "string"}
    return {
        "operationId": name,
        "summary": about,
        "parameters": [
            {
                "name": "If-None-Match",
                "in": "header",
                "description": "The ETag of an earlier answer.",
                "schema": {"type": "string"},
            }
        ],
        "responses": {
            "200": {**found, "content": {kind: {"schema": schema}}},
            "304": response("It has not changed.", "", "ETag"),
            **problems([], key=False),
        },
    }


def document() -> Document:
    """Return the document."""
    head = "The same without a body."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "QR code service",
            "version": "1.0.0",
            "description": "QR codes that are proven to scan, and that expire.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": BASE}],
        "paths": {
            "/generate": {"post": generate()},
            "/generate/batch": {"post": generate_batch()},
            "/retrieve/{qr_id}": {
                "get": retrieve("retrieve", "Get the image of a code.", "Retrieved"),
                "head": retrieve("retrieve_head", head, ""),
            },
            "/codes": {"get": list_codes()},
            "/codes/{qr_id}": code(),
            "/codes/{qr_id}/scans": {"get": scans()},
            "/s/{slug}": {
                "get": redirect(
                    "scan", "Go where a dynamic code leads.", "Destination"
                ),
                "head": redirect("scan_head", head, ""),
            },
            "/health": {
                "get": health("health", "Look whether the service works.", "Health"),
                "head": health("health_head", head, ""),
            },
            "/": {"get": page("studio", "The studio, a page.", "text/html")},
            "/docs": {"get": page("docs", "This page, in HTML.", "text/html")},
            "/openapi.json": {
                "get": page("openapi", "This document.", "application/json")
            },
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
            },
        },
    }


def text() -> str:
    """Return the document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
