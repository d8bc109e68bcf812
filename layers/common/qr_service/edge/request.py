"""The body of `POST /generate`: its size limit, its parser and its fields.

To add a field, declare it in `generate_fields`, and add it to GenerateRequest or Style.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from qr_service.config import Settings
from qr_service.edge.contents import MAX_VERSIONS, PINNED, content_field
from qr_service.edge.fields import (
    Boolean,
    Choice,
    Colour,
    Field,
    Logo,
    Number,
    Object,
    Target,
    Text,
    read_all,
)
from qr_service.engine.layout import MAX_MODULE_SIZE, MAX_WIDTH, MOST_MM
from qr_service.engine.logo import LEAST_SIZE, MOST_SIZE
from qr_service.engine.style import (
    BLENDED_FORMATS,
    FORMATS,
    GRADIENT_TYPES,
    SHAPES,
    Gradient,
    Style,
)
from qr_service.engine.symbol import ECIS, LEVELS, MAX_VERSION, Eci, Level
from qr_service.errors import BadField, BadRequest, BodyTooLarge, either, shown

QUERY = ("dry_run", "include")  # the query parameters
MAX_BODY = 128 * 1024  # bytes
LEAST_HOURS = 0.02  # 72 seconds
MOST_LABEL = 100  # characters

# One black pixel.
LOGO = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR42mNg"
    "AAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="
)

_STYLE = [field.name for field in dataclasses.fields(Style)]
SIZES = ("module_size", "width", "size_mm")  # at most one of them
BLENDED = frozenset({"gradient", "logo"})
_OF_DYNAMIC = {"expired_url": None, "count": True}  # with their defaults
_IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request within all limits; different bodies have different digests.

    `data` of a dynamic code is where a scan is sent.
    """

    data: str
    expiration_hours: float
    error_correction: Level
    boost_error_correction: bool
    eci: Eci
    style: Style
    digest: bytes
    label: str | None = None
    dynamic: bool = False
    expired_url: str | None = None
    count: bool = True
    most_version: int = MAX_VERSION


def parse(body: bytes, settings: Settings, called: str = "") -> GenerateRequest:
    """Return the checked request; raises BodyTooLarge or BadRequest.

    `called` is the host that was called.
    """
    return read(load(body), settings, called)


def read(fields: dict[str, Any], settings: Settings, called: str) -> GenerateRequest:
    """Return the checked request of these fields; raises BadRequest."""
    own_hosts = hosts_of(settings, called)
    declared = generate_fields(
        settings.default_expiration_hours, settings.max_expiration_hours, own_hosts
    )
    values = read_all(declared, fields)
    _read_content(values, fields)
    if values["dynamic"]:
        if "expiration_hours" not in fields:
            raise BadRequest(
                "missing_field",
                "expiration_hours is required with dynamic.",
                field="expiration_hours",
                allowed=expiration_field(settings.max_expiration_hours, "").allowed,
            )
        target_field("data", own_hosts, "").check("data", values["data"])
    else:
        for name, default in _OF_DYNAMIC.items():
            if values[name] != default:
                raise BadField(name, values[name], "given together with dynamic: true")
    style = Style(**{name: values.pop(name) for name in _STYLE})
    _check_style(style, fields)
    return GenerateRequest(**values, style=style, digest=_digest(fields))


def _read_content(values: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """Let `data` be the text of the content, if there is one instead of data.

    Raises BadRequest for both or none of them, and for what a standard does not allow.
    """
    content = values.pop("content")
    if content is None:
        if values["data"] is None:
            detail = "data or content is required."
            allowed = ["data", "content"]
            raise BadRequest("missing_field", detail, field="data", allowed=allowed)
        return
    for name in ("data", "dynamic"):
        if values[name]:
            raise BadField(name, values[name], "given without content")
    kind, values["data"] = content
    for name, fixed in PINNED.get(kind, {}).items():
        if name in fields and values[name] != fixed:
            only = json.dumps(fixed).strip('"')
            raise BadField(name, values[name], f"{only} with content of type {kind}")
        values[name] = fixed
    values["most_version"] = MAX_VERSIONS.get(kind, MAX_VERSION)


def _check_style(style: Style, fields: Mapping[str, Any]) -> None:
    """Raise BadField for fields of a style that exclude one another."""
    given, *others = [name for name in SIZES if name in fields] or [""]
    for name in others:
        raise BadField(name, fields[name], f"given without {given}")
    if style.format not in BLENDED_FORMATS:
        for name in BLENDED & fields.keys():
            allowed = f"given with format {either(BLENDED_FORMATS)}"
            raise BadField(name, fields[name], allowed)


@lru_cache(8)
def generate_fields(
    default_hours: float, most_hours: float, own_hosts: frozenset[str] = frozenset()
) -> tuple[Field, ...]:
    """Return the fields of `POST /generate`, in the order in which they are checked."""
    return (
        Text(
            name="data",
            example="https://example.com/menu",
            about="The text to encode, this or `content`: up to what a version 40 code "
            "holds at the level, 2,953 bytes of UTF-8 at `L`, 2,331 at `M`, 1,663 at "
            "`Q`, 1,273 at `H`, more for digits and upper-case text; no U+0000. Of a "
            "dynamic code: where a scan is sent, a URI as `expired_url`.",
        ),
        content_field(
            about="What the code is for, instead of `data`; the service writes the "
            "text as the standard of its type demands. Not with `dynamic`.",
        ),
        expiration_field(
            most_hours,
            default=default_hours,
            about="How long the code lives; the least is 72 seconds. The default and "
            "the maximum, usually 8760, are parameters of the stack. Required with "
            "`dynamic`.",
        ),
        label_field(),
        Boolean(
            name="dynamic",
            example=True,
            default=False,
            about="True: the image holds a short URL of this service, so that its "
            "target can be changed, and ended, after it was printed.",
        ),
        target_field(
            "expired_url",
            own_hosts,
            needs="dynamic",
            about="Where a scan is sent after the end; a page says that it is over if "
            "there is none.",
        ),
        Boolean(
            name="count",
            example=False,
            default=True,
            needs="dynamic",
            about="Whether scans are counted.",
        ),
        Choice(
            name="error_correction",
            example="H",
            default="M",
            choices=LEVELS,
            about="The level of error correction.",
        ),
        Boolean(
            name="boost_error_correction",
            example=False,
            default=True,
            about="True: a higher level is used if the version stays the same. False: "
            "exactly the level given, with a logo too, as payment codes demand.",
        ),
        Choice(
            name="eci",
            example="never",
            default="auto",
            choices=ECIS,
            about="`auto` announces text that is not ASCII as UTF-8; most scanners "
            "would guess otherwise. `never` is for scanners that show the announcement "
            "as text (`\\000026`).",
        ),
        Choice(
            name="format",
            example="svg",
            default="png",
            choices=FORMATS,
            about="The kind of image. `pdf` and `eps` are for print: vectors in every "
            "shape, black as K alone, another colour as RGB, no gradient, no logo; "
            "without `size_mm` a pixel of theirs is 1/300 inch.",
        ),
        Number(
            name="module_size",
            example=8,
            default=10,
            least=1,
            most=MAX_MODULE_SIZE,
            integer=True,
            unit="pixels per module",
            about="The image is at most 4,096 pixels wide. At most one of "
            "`module_size`, `width` and `size_mm`.",
        ),
        Number(
            name="width",
            example=400,
            least=25,
            most=MAX_WIDTH,
            integer=True,
            unit="pixels",
            about="The image has the largest whole module size with which it is not "
            "wider.",
        ),
        Number(
            name="size_mm",
            example=30,
            least=5,
            most=MOST_MM,
            unit="mm",
            about="The printed side, with the quiet zone. A module of a PNG has whole "
            "dots; what they leave is quiet zone. A module has at least 4 dots and "
            "0.33 mm; a refusal names the least side that works.",
        ),
        Number(
            name="dpi",
            example=203,
            default=300,
            least=72,
            most=2400,
            integer=True,
            needs="size_mm",
            unit="dots per inch",
            about="The resolution of the printer.",
        ),
        Number(
            name="border",
            example=6,
            default=4,
            least=2,
            most=20,
            integer=True,
            unit="modules",
            about="The quiet zone.",
        ),
        Colour(
            name="dark",
            example="#1A237E",
            default="#000000",
            about="The colour of the modules. Dark on light: a contrast of at least "
            "40 %, and the dark colour less than half as bright as the light one "
            "(0.299 R + 0.587 G + 0.114 B). A refusal names the nearest that works.",
        ),
        Colour(
            name="light",
            example="#FFF8E7",
            default="#ffffff",
            transparent=True,
            about="The colour of the background; transparent counts as white.",
        ),
        Choice(
            name="shape",
            example="rounded",
            default="square",
            choices=SHAPES,
            about="The shape of the modules; finder and alignment patterns stay solid. "
            "A PNG needs 4 pixels a module for another shape than `square`.",
        ),
        Object(
            name="gradient",
            example={"type": "radial", "to": "#7A0026"},
            build=Gradient,
            members=(
                Choice(
                    name="type",
                    example="radial",
                    default="linear",
                    choices=GRADIENT_TYPES,
                    about="From the top, or from the centre.",
                ),
                Colour(
                    name="to",
                    example="#7A0026",
                    required=True,
                    about="The other dark colour.",
                ),
            ),
            about="From `dark` at the top, or in the centre, to another dark colour.",
        ),
        Logo(
            name="logo",
            example=LOGO,
            about="A PNG or JPEG in the middle: 64 KiB, a megapixel. Turned by its "
            "EXIF orientation, colours converted to sRGB.",
        ),
        Number(
            name="logo_size",
            example=0.22,
            least=LEAST_SIZE,
            most=MOST_SIZE,
            needs="logo",
            unit="of the symbol's side",
            about="The logo's side: 0.2, or what fits, if absent. Error correction, "
            "unless that is fixed, then the version, is raised to make room.",
        ),
    )


def expiration_field(most_hours: float, about: str, **common: Any) -> Number:
    """Return the field of a code's life."""
    return Number(
        name="expiration_hours",
        example=48,
        least=LEAST_HOURS,
        most=most_hours,
        unit="hours",
        about=about,
        **common,
    )


def target_field(
    name: str, own_hosts: frozenset[str], about: str, **common: Any
) -> Target:
    """Return a field that says where a scan is sent."""
    return Target(
        name=name,
        example=f"https://example.com/{name}",
        own_hosts=own_hosts,
        about=about,
        **common,
    )


def hosts_of(settings: Settings, called: str) -> frozenset[str]:
    """Return the hosts of this service: that of short URLs, and the one called."""
    return frozenset({urlsplit(settings.public_url).hostname or "", called.lower()})


def label_field(**common: Any) -> Text:
    """Return the field of a code's name."""
    return Text(
        name="label",
        example="Menu, terrace",
        most=MOST_LABEL,
        about="What the owner calls the code in lists; it is not in the image.",
        **common,
    )


def parse_query(query: Mapping[str, str]) -> tuple[bool, bool]:
    """Return whether it is a dry run, and whether the answer has the image.

    Raises BadField.
    """
    dry_run = query.get("dry_run", "false")
    if dry_run not in {"true", "false"}:
        raise BadField("dry_run", dry_run, ["true", "false"])
    include = query.get("include")
    if include not in {None, "image"}:
        raise BadField("include", include, ["image"])
    return dry_run == "true", include == "image"


def check_idempotency_key(key: str) -> str:
    """Return the key if it is 1..255 printable ASCII characters; raises BadRequest.

    White space around the key is not part of it (RFC 9110, section 5.5).
    """
    key = key.strip(" \t")
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise BadRequest(
            "invalid_header",
            "An Idempotency-Key has 1 to 255 printable ASCII characters.",
            field="Idempotency-Key",
            allowed="1..255 printable ASCII characters",
        )
    return key


def _digest(fields: dict[str, Any]) -> bytes:
    """Return the SHA-256 of the body; white space and field order do not matter.

    Nor does it matter whether a whole number of hours is written as 24, 24.0 or 2.4e1.
    """
    hours = fields.get("expiration_hours")
    if isinstance(hours, float) and hours.is_integer():
        fields = {**fields, "expiration_hours": int(hours)}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).digest()


def load(body: bytes, most: int = MAX_BODY) -> dict[str, Any]:
    """Return the members of a JSON object of at most `most` bytes.

    Raises BodyTooLarge or BadRequest.
    """
    if len(body) > most:
        raise BodyTooLarge(
            f"The body has {len(body)} bytes; at most {most} are allowed.", limit=most
        )
    try:
        fields = json.loads(
            body.decode("utf-8-sig"),  # without a byte order mark
            parse_constant=_refuse_number,
            parse_float=_finite,
            object_pairs_hook=_refuse_duplicates,
        )
    except UnicodeDecodeError:
        raise BadRequest("invalid_json", "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        detail = f"The body is not JSON: {place}." if body else "There is no body."
        raise BadRequest("invalid_json", detail) from None
    except (ValueError, RecursionError):  # such as a number with thousands of digits
        raise BadRequest(
            "invalid_json", "The body is nested too deeply, or a number is too long."
        ) from None
    if not isinstance(fields, dict):
        raise BadRequest("invalid_json", "The body is not a JSON object.")
    return fields


def _refuse_number(text: str) -> None:
    raise BadRequest("invalid_json", f"{shown(text)} is not a number.")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        _refuse_number(text)
    return number


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadRequest("invalid_json", "A field of the body is given twice.")
    return fields
