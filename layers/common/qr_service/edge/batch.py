"""The body of `POST /generate/batch`: many bodies of `POST /generate`, each named.

A mistake in the batch itself raises BadRequest. A mistake in an item is what becomes of
this item alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from qr_service.config import Settings
from qr_service.edge.fields import Field, Items, Shared, Text, read_all
from qr_service.edge.request import GenerateRequest, generate_fields, load, read
from qr_service.errors import BadField, BadRequest

QUERY = ("dry_run",)  # the query parameters
MAX_BODY = 1024 * 1024  # bytes
MOST_ITEMS = 100
MOST_REF = 100  # characters

REF = Text(
    name="ref",
    example="ticket 17",
    required=True,
    most=MOST_REF,
    about="What the client calls the item: no other of the batch has the same.",
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item with its request, or with what is wrong with it.

    `ref` is None if it is missing, or is itself what is wrong.
    """

    ref: str | None
    request: GenerateRequest | BadRequest


def parse_batch(body: bytes, settings: Settings, called: str = "") -> list[Item]:
    """Return the items in their order; raises BodyTooLarge or BadRequest.

    `called` is the host that was called.
    """
    fields = generate_fields(
        settings.default_expiration_hours, settings.max_expiration_hours
    )
    batch = read_all(batch_fields(fields), load(body, MAX_BODY))
    items: list[Item] = []
    refs: set[str] = set()
    for value in batch["items"]:
        ref = None
        try:
            ref = _ref_of(value, refs)
            own = {name: value[name] for name in value if name != REF.name}
            request = read({**batch["defaults"], **own}, settings, called)
        except BadRequest as error:
            items.append(Item(ref, error))
        else:
            items.append(Item(ref, request))
    return items


def _ref_of(value: Any, refs: set[str]) -> str:
    """Return the name of an item, and add it to those of the batch."""
    if not isinstance(value, dict):
        raise BadField("items", value, "a list of objects", code="invalid_type")
    ref: str = REF.read(value)
    if ref in refs:
        raise BadField(REF.name, ref, "another one for each item of a batch")
    refs.add(ref)
    return ref


def key_of(batch_key: str | None, ref: str | None) -> str | None:
    """Return the Idempotency-Key of an item; no header can contain a line feed."""
    return batch_key and f"{batch_key}\n{ref}"


@lru_cache(2)
def batch_fields(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Return the fields of a batch, of whose items these are the fields."""
    return (
        Shared(
            name="defaults",
            example={"expiration_hours": 48},
            default={},
            of=fields,
            about="Fields of `POST /generate` that every item has which does not have "
            "them itself. A logo is decoded once for all.",
        ),
        Items(
            name="items",
            example=[{"ref": "ticket 17", "data": "https://example.com/17"}],
            required=True,
            of=(REF, *fields),
            most=MOST_ITEMS,
            about="The codes, each as in a body of `POST /generate`, with `ref` as its "
            "name.",
        ),
    )
