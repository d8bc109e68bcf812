"""The OpenAPI document: functions/pages/openapi.json, written by `make docs`.

What it says of fields comes from edge/request.py, its errors from errors.py, and its
examples are the events below events/, which the tests send and whose answers they
compare with the schemas here.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from qr_service import errors
from qr_service.edge.fields import Field, Object
from qr_service.edge.manage import LISTED, MOST_LISTED
from qr_service.edge.request import MAX_BODY, MOST_LABEL
from qr_service.engine.style import FORMATS
from qr_service.engine.symbol import LEVELS
from qr_service.errors import QRError

from docs.fields import FIELDS, PATCH_FIELDS, object_schema
from local.project import EVENTS

Document = dict[str, Any]

# In the document, in place of the API's own address; GET /openapi.json replaces it.
BASE = "https://qr.example.com"
# The events of generate that are examples, and what they show.
EXAMPLES = {
    "url": "A code",
    "idempotent": "A code that exists once, however often the request is repeated",
    "dry_run": "A dry run: what would come of it, and nothing is stored",
    "svg": "An SVG",
    "styled": "Colours, size and error correction",
    "rounded": "Rounded modules",
    "gradient": "A gradient",
    "logo": "A logo",
    "wifi": "A Wi-Fi network",
    "japanese": "Text that is not ASCII",
}

CODE = {"type": "string", "format": "uuid", "description": "The id of a code."}
MOMENT = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
    "description": "UTC, whole seconds.",
}
PROPERTIES: Document = {
    "version": {
        "type": "integer",
        "minimum": 1,
        "maximum": 40,
        "description": "The version of the symbol.",
    },
    "error_correction": {
        "type": "string",
        "enum": list(LEVELS),
        "description": "The level of the symbol, after any increase.",
    },
    "width": {
        "type": "integer",
        "description": "The width of the image in pixels; its height is the same.",
    },
    "format": {"type": "string", "enum": list(FORMATS)},
    "margin": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "The share of error correction that was not needed to read the "
        "image back; 1 is best.",
    },
    "logo_size": {
        "type": "number",
        "description": "Only with a logo: its side, as a fraction of the symbol's.",
    },
}


def answer(required: Document, optional: Document | None = None) -> Document:
    """Return the schema of an object that has no other members."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def described(fields: Sequence[Field]) -> Document:
    """Return the schema of an object with these fields, and what each is for."""
    found = object_schema(fields)
    if needs := {field.name: [field.needs] for field in fields if field.needs}:
        found["dependentRequired"] = needs
    for field in fields:
        schema = found["properties"][field.name]
        schema["description"] = field.about
        schema["examples"] = [field.example]
        if isinstance(field, Object):
            schema["properties"] = described(field.members)["properties"]
    return found


_ALWAYS = {name: value for name, value in PROPERTIES.items() if name != "logo_size"}
_LOGO = {"logo_size": PROPERTIES["logo_size"]}
OWNED = answer(
    {
        "qr_id": CODE,
        "label": {
            "type": ["string", "null"],
            "maxLength": MOST_LABEL,
            "description": "What the owner calls the code.",
        },
        "data": {"type": "string", "description": "The text in the image."},
        "format": PROPERTIES["format"],
        "created_at": MOMENT,
        "expires_at": MOMENT,
    }
)
SCHEMAS = {
    "GenerateRequest": described(FIELDS),
    "Generated": answer({"qr_id": CODE, "expires_at": MOMENT, **_ALWAYS}, _LOGO),
    "Preview": answer(
        {
            **_ALWAYS,
            "scans": {"const": True},
            "spare_bits": {
                "type": "integer",
                "minimum": 0,
                "description": "How many more bits of data the version could hold.",
            },
        },
        _LOGO,
    ),
    "Retrieved": answer(
        {
            "qr_code": {
                "type": "string",
                "format": "uri",
                "description": "A presigned URL of the image. Store the address of "
                "this route instead.",
            },
            "expires_at": MOMENT,
            "url_expires_at": MOMENT,
        }
    ),
    "ChangeRequest": described(PATCH_FIELDS),
    "Code": OWNED,
    "Codes": answer(
        {
            "codes": {"type": "array", "items": OWNED},
            "next": {
                "type": ["string", "null"],
                "description": "The cursor of the next page, null on the last one.",
            },
        }
    ),
    "Health": answer(
        {
            "status": {"const": "ok"},
            "database": {"const": "ok"},
            "cache": {"type": "string", "enum": ["ok", "unavailable"]},
        }
    ),
    "Problem": {
        "type": "object",
        "description": "A problem document (RFC 9457). Some codes have more members.",
        "required": ["type", "title", "status", "code", "detail", "request_id"],
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "It never changes."},
            "detail": {"type": "string", "description": "For people."},
            "request_id": {"type": "string"},
            "field": {"type": "string", "description": "The field that is wrong."},
            "received": {"description": "Its value, at most 64 characters of it."},
            "allowed": {"description": "What is accepted."},
        },
    },
}
HEADERS: Document = {
    "Location": "The address of the code, or of its image.",
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
    errors.Unavailable,
]
OF_MANAGE = [errors.BadRequest, errors.Unavailable]
OF_OWNED = [errors.BadRequest, errors.NotFound, errors.Expired, errors.Unavailable]
OF_RETRIEVE = [errors.BadRequest, errors.NotFound, errors.Expired, errors.Unavailable]


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
            {
                "name": "dry_run",
                "in": "query",
                "description": "True: nothing is stored, and no code is created.",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "A repeated request with the same key creates no second "
                "code: it gets the first answer again.",
                "schema": {
                    "type": "string",
                    "maxLength": 255,
                    "pattern": "^[!-~]([ -~]*[!-~])?$",
                },
            },
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
        "List your living codes, newest first.",
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
            "Change one of your living codes.",
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
            "/retrieve/{qr_id}": {
                "get": retrieve("retrieve", "Get the image of a code.", "Retrieved"),
                "head": retrieve("retrieve_head", head, ""),
            },
            "/codes": {"get": list_codes()},
            "/codes/{qr_id}": code(),
            "/health": {
                "get": health("health", "Look whether the service works.", "Health"),
                "head": health("health_head", head, ""),
            },
            "/": {
                "get": {
                    "operationId": "root",
                    "summary": "Go to the documentation.",
                    "responses": {
                        "302": response("GET /docs.", "", "Location"),
                        **problems([], key=False),
                    },
                }
            },
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
