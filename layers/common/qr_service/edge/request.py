"""The body of `POST /generate`: its size limit, its parser and a check of each field.

To add a field, add one line to `parse`, and one to `GenerateRequest` or `Style`. Every
mistake raises BadRequest, which names the field, the received value and the allowed
values.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any, TypeVar

from qr_service.config import Settings
from qr_service.engine.colours import TRANSPARENT
from qr_service.engine.logo import LEAST_SIZE, MOST_SIZE, decode
from qr_service.engine.style import FORMATS, GRADIENT_TYPES, SHAPES, Gradient, Style
from qr_service.engine.symbol import ECIS, LEVELS, Eci, Level
from qr_service.errors import BadField, BadRequest, BodyTooLarge, shown

MAX_BODY = 128 * 1024  # bytes
LEAST_HOURS = 0.02  # 72 seconds

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request within all limits; different bodies have different digests."""

    data: str
    expiration_hours: float
    error_correction: Level
    boost_error_correction: bool
    eci: Eci
    style: Style
    digest: bytes


def parse(body: bytes, settings: Settings) -> GenerateRequest:
    """Return the checked request; raises BodyTooLarge or BadRequest."""
    if len(body) > MAX_BODY:
        raise BodyTooLarge(
            f"The body has {len(body)} bytes; at most {MAX_BODY} are allowed.",
            limit=MAX_BODY,
        )
    fields = _load(body)
    read = FieldReader(fields)
    request = GenerateRequest(
        data=read.text("data"),
        expiration_hours=read.number(
            "expiration_hours",
            settings.default_expiration_hours,
            LEAST_HOURS,
            settings.max_expiration_hours,
        ),
        error_correction=read.choice("error_correction", "M", LEVELS),
        boost_error_correction=read.boolean("boost_error_correction", default=True),
        eci=read.choice("eci", "auto", ECIS),
        style=Style(
            format=read.choice("format", "png", FORMATS),
            module_size=read.integer("module_size", 10, 1, 40),
            border=read.integer("border", 4, 2, 20),
            dark=read.colour("dark", "#000000"),
            light=read.colour("light", "#ffffff", transparent=True),
            shape=read.choice("shape", "square", SHAPES),
            gradient=read.gradient("gradient"),
            logo=read.logo("logo"),
            logo_size=read.fraction(
                "logo_size", LEAST_SIZE, MOST_SIZE, goes_with="logo"
            ),
        ),
        digest=_digest(fields),
    )
    read.refuse_unknown()
    return request


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


def _load(body: bytes) -> dict[str, Any]:
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


class FieldReader:
    """A reader of single fields, which checks each one and records the known names.

    Each method returns the checked value, or the default if the field is missing. It
    raises BadRequest. `prefix` is put before the names of the fields in errors.
    """

    def __init__(self, fields: dict[str, Any], prefix: str = "") -> None:
        self._fields = {prefix + name: value for name, value in fields.items()}
        self._known: list[str] = []

    def _get(self, name: str, default: Any) -> Any:
        self._known.append(name)
        return self._fields.get(name, default)

    def text(self, name: str) -> str:
        """Return the text of a required field, if UTF-8 can encode it."""
        value = self._get(name, None)
        if name not in self._fields:
            raise BadRequest("missing_field", f"{name} is required.", field=name)
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a string")
        if not value:
            raise BadField(name, value, "1 character or more")
        if "\0" in value:
            raise BadField(name, "U+0000", "text without U+0000")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadField(
                name, "an unpaired surrogate", "text that UTF-8 can encode"
            ) from None
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise _wrong_type(name, value, "true or false")
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return an integer from `least` to `most`."""
        value = self._get(name, default)
        allowed = f"{least}..{most}"
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(name, value, f"an integer {allowed}")
        if not least <= value <= most:
            raise BadField(name, value, allowed)
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number from `least` to `most`."""
        return _number(name, self._get(name, default), least, most)

    def choice(self, name: str, default: Choice, choices: tuple[Choice, ...]) -> Choice:
        """Return one of the `choices`."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise _wrong_type(name, value, list(choices))
        if value not in choices:
            raise BadField(name, value, list(choices))
        return value

    def colour(
        self, name: str, default: str | None, *, transparent: bool = False
    ) -> str:
        """Return a colour in lower case; the field is required if `default` is None."""
        value = self._get(name, default)
        allowed = f"#RRGGBB or {TRANSPARENT}" if transparent else "#RRGGBB"
        if value is None and name not in self._fields:
            raise BadRequest(
                "missing_field", f"{name} is required.", field=name, allowed=allowed
            )
        if not isinstance(value, str):
            raise _wrong_type(name, value, allowed)
        if transparent and value == TRANSPARENT:
            return value
        if not _COLOUR.fullmatch(value):
            raise BadField(name, value, allowed)
        return value.lower()

    def gradient(self, name: str) -> Gradient | None:
        """Return the gradient; None without one."""
        value = self._get(name, None)
        if name not in self._fields:
            return None
        if not isinstance(value, dict):
            raise _wrong_type(name, value, 'an object, {"type": ..., "to": ...}')
        read = FieldReader(value, prefix=f"{name}.")
        gradient = Gradient(
            read.choice(f"{name}.type", "linear", GRADIENT_TYPES),
            read.colour(f"{name}.to", None),
        )
        read.refuse_unknown()
        return gradient

    def logo(self, name: str) -> bytes | None:
        """Return the file of the logo; None without one."""
        value = self._get(name, None)
        if name not in self._fields:
            return None
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a data URL")
        return decode(value)

    def fraction(
        self, name: str, least: float, most: float, *, goes_with: str
    ) -> float | None:
        """Return a number from `least` to `most`; it requires the field `goes_with`."""
        value = self._get(name, None)
        if name not in self._fields:
            return None
        if goes_with not in self._fields:
            raise BadField(name, value, f"given together with {goes_with}")
        return float(_number(name, value, least, most))

    def refuse_unknown(self) -> None:
        """Raise BadRequest if there is a field that was not read."""
        unknown = sorted(set(self._fields) - set(self._known))
        if unknown:
            name = shown(unknown[0])
            raise BadRequest(
                "unknown_field",
                f"{name} is not a field of this request.",
                field=name,
                allowed=self._known,
            )


def _number(name: str, value: Any, least: float, most: float) -> float:
    allowed = f"{least}..{most}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong_type(name, value, f"a number {allowed}")
    if not least <= value <= most:
        raise BadField(name, value, allowed)
    return value


def _wrong_type(name: str, value: Any, allowed: str | list[str]) -> BadField:
    return BadField(name, value, allowed, code="invalid_type")
