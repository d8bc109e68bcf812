"""The bodies of the API's requests and answers, as JSON schemas.

What they say of fields comes from edge/request.py and edge/manage.py.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from qr_service.edge.batch import REF
from qr_service.edge.fields import Field, Items, Object, Typed
from qr_service.edge.request import BLENDED, MOST_LABEL, SIZES
from qr_service.engine.style import BLENDED_FORMATS, FORMATS
from qr_service.engine.symbol import LEVELS
from qr_service.stores.table import MOST_TARGETS

from docs.fields import BATCH_FIELDS, FIELDS, ONE_TEXT, PATCH_FIELDS, object_schema

Document = dict[str, Any]

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
    "module_mm": {
        "type": "number",
        "description": "Only of an image with a printed size: a module's side in mm.",
    },
    "width_mm": {
        "type": "number",
        "description": "Only of an image with a printed size: its side in mm.",
    },
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
        if isinstance(field, Items):
            # A mistake in an item is an answer to it, not one to the request.
            anything = {"description": "Anything else is a problem of this item alone."}
            schema["items"] = {"anyOf": [_reference("BatchItem"), anything]}
        if isinstance(field, Typed):
            found["properties"][field.name] = {
                "description": field.about,
                "examples": [field.example],
                "oneOf": [of_type(each) for each in field.variants.values()],
            }
    return found


def _reference(path: str) -> Document:
    return {"$ref": f"#/components/schemas/{path}"}


def of_type(variant: Object) -> Document:
    """Return the schema of an object of this type."""
    found = described(variant.members)
    return {
        **found,
        "description": variant.about,
        "required": ["type", *found.get("required", [])],
        "properties": {"type": {"const": variant.name}, **found["properties"]},
    }


def of_dynamic(fields: Sequence[Field]) -> Document:
    """Return what a request for a dynamic code must have, and what another must not."""
    target = object_schema(fields)["properties"]["expired_url"]
    return {
        "if": {"required": ["dynamic"], "properties": {"dynamic": {"const": True}}},
        "then": {
            "required": ["expiration_hours", "data"],
            "properties": {"data": target},
        },
        "else": {"properties": {"expired_url": False, "count": {"const": True}}},
    }


def at_most_one(names: Sequence[str]) -> Document:
    """Return that no two of these fields are given."""
    pairs = [{"required": list(pair)} for pair in combinations(names, 2)]
    return {"not": {"anyOf": pairs}}


def of_vectors() -> Document:
    """Return that some formats have neither a gradient nor a logo."""
    others = [form for form in FORMATS if form not in BLENDED_FORMATS]
    return {
        "if": {"required": ["format"], "properties": {"format": {"enum": others}}},
        "then": {"properties": dict.fromkeys(sorted(BLENDED), False)},
    }


SHORT_URL = {
    "type": "string",
    "description": "Only of a dynamic code: what its image holds.",
}
IMAGE = {
    "type": "string",
    "format": "uri",
    "description": "Only with `include=image`: the file as a data URL, byte for byte "
    "what is stored.",
}
_SOMETIMES = {name: PROPERTIES[name] for name in ("module_mm", "width_mm", "logo_size")}
_ALWAYS = {name: PROPERTIES[name] for name in PROPERTIES if name not in _SOMETIMES}
OWNED_ALWAYS: Document = {
    "qr_id": CODE,
    "label": {
        "type": ["string", "null"],
        "maxLength": MOST_LABEL,
        "description": "What the owner calls the code.",
    },
    "data": {
        "type": "string",
        "description": "The text in the image, or the target of a dynamic code.",
    },
    "format": PROPERTIES["format"],
    "created_at": MOMENT,
    "expires_at": MOMENT,
}
OF_DYNAMIC: Document = {
    "short_url": SHORT_URL,
    "expired_url": {
        "type": ["string", "null"],
        "description": "Where a scan is sent after the end.",
    },
    "count": {"type": "boolean", "description": "Whether scans are counted."},
    "kept_until": {
        **MOMENT,
        "description": "Until when the code can be brought back after its end.",
    },
}
OWNED = answer(OWNED_ALWAYS, OF_DYNAMIC)
TARGETS = {
    "type": "array",
    "maxItems": MOST_TARGETS,
    "description": "The latest values of `data`, and since when; the latest first.",
    "items": answer({"data": {"type": "string"}, "since": MOMENT}),
}
COUNT = {"type": "integer", "minimum": 0}
SCHEMAS = {
    "GenerateRequest": {
        **described(FIELDS),
        **ONE_TEXT,
        "allOf": [of_dynamic(FIELDS), at_most_one(SIZES), of_vectors()],
    },
    "Generated": answer(
        {"qr_id": CODE, "expires_at": MOMENT, **_ALWAYS},
        {**_SOMETIMES, "short_url": SHORT_URL, "image": IMAGE},
    ),
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
        {**_SOMETIMES, "image": IMAGE},
    ),
    "BatchRequest": described(BATCH_FIELDS),
    "BatchItem": {
        "type": "object",
        "additionalProperties": False,
        "required": [REF.name],
        "properties": {
            **described([REF])["properties"],
            **{
                field.name: _reference(f"GenerateRequest/properties/{field.name}")
                for field in FIELDS
            },
        },
    },
    "Batch": answer(
        {
            "results": {
                "type": "array",
                "description": "One for each item, in their order: the members of "
                "`Generated` or `Preview`, or a problem document.",
                "items": {
                    "type": "object",
                    "required": ["ref", "status"],
                    "properties": {
                        "ref": {
                            "type": ["string", "null"],
                            "description": "That of the item, null if it has none of "
                            "its own.",
                        },
                        "status": {
                            "type": "integer",
                            "description": "What `POST /generate` would have answered.",
                        },
                        "replayed": {
                            "const": True,
                            "description": "Only of an answer to an earlier request.",
                        },
                        "retry_after": {
                            "type": "integer",
                            "description": "Only with 503: seconds after which the "
                            "item can be sent again.",
                        },
                    },
                },
            }
        }
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
    "Code": answer(OWNED_ALWAYS, {**OF_DYNAMIC, "targets": TARGETS}),
    "Codes": answer(
        {
            "codes": {"type": "array", "items": OWNED},
            "next": {
                "type": ["string", "null"],
                "description": "The cursor of the next page, null on the last one.",
            },
        }
    ),
    "Scans": answer(
        {
            "people": {**COUNT, "description": "The sum of the days."},
            "bots": {**COUNT, "description": "The sum of the days."},
            "days": {
                "type": "array",
                "description": "The days (UTC) on which the code was scanned.",
                "items": answer(
                    {
                        "day": {"type": "string", "format": "date"},
                        "people": COUNT,
                        "bots": COUNT,
                    }
                ),
            },
        }
    ),
    "Destination": answer(
        {
            "target": {
                "type": "string",
                "description": "Where the code leads now.",
            },
            "expires_at": MOMENT,
            "expired": {
                "type": "boolean",
                "description": "Whether this is where it leads after its end.",
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
