"""The body of `POST /generate`: bounded, parsed and checked, field by field.

A new field is added here: one line in `parse`, and one in `GenerateRequest` or `Style`.
Everything wrong is a BadRequest that names the field, what came and what is allowed.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any, Literal, TypeVar, get_args

from qr_service.colours import TRANSPARENT
from qr_service.config import Settings
from qr_service.errors import BadRequest, BodyTooLarge
from qr_service.logo import LEAST_SIZE, MOST_SIZE, decode
from qr_service.style import Gradient, Shape, Style
from qr_service.symbol import LEVELS, Level

MAX_BODY = 128 * 1024  # bytes

SHAPES: tuple[Shape, ...] = get_args(Shape)

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_IDEMPOTENCY_KEY = re.compile(r"[ -~]{1,255}")
_LONGEST_SHOWN = 64  # characters of a wrong value that an error repeats

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A request that keeps every limit; `digest` tells one body from another."""

    data: str
    expiration_hours: int
    error_correction: Level
    style: Style
    digest: bytes


def parse(body: bytes, settings: Settings) -> GenerateRequest:
    """Raises BodyTooLarge or BadRequest."""
    if len(body) > MAX_BODY:
        raise BodyTooLarge(
            f"The body has {len(body)} bytes, at most {MAX_BODY} are read.",
            limit=MAX_BODY,
        )
    fields = _load(body)
    take = _Taker(fields)
    request = GenerateRequest(
        data=take.text("data"),
        expiration_hours=take.integer(
            "expiration_hours",
            settings.default_expiration_hours,
            1,
            settings.max_expiration_hours,
        ),
        error_correction=take.choice("error_correction", "M", LEVELS),
        style=Style(
            format=take.choice("format", "png", ("png", "svg")),
            module_size=take.integer("module_size", 10, 1, 40),
            border=take.integer("border", 4, 2, 20),
            dark=take.colour("dark", "#000000"),
            light=take.colour("light", "#ffffff", transparent=True),
            shape=take.choice("shape", "square", SHAPES),
            gradient=take.gradient("gradient"),
            logo=take.logo("logo"),
            logo_size=take.fraction(
                "logo_size", LEAST_SIZE, MOST_SIZE, goes_with="logo"
            ),
        ),
        digest=_digest(fields),
    )
    take.refuse_the_rest()
    return request


def check_idempotency_key(key: str) -> str:
    """The key, if it is 1..255 printable ASCII characters; raises BadRequest.

    White space around it is not part of it (RFC 9110, section 5.5).
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
    """SHA-256 of the body's meaning: spaces and the order of fields do not count."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).digest()


def _load(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(
            body.decode(),
            parse_constant=_refuse_number,
            parse_float=_finite,
            object_pairs_hook=_refuse_duplicates,
        )
    except UnicodeDecodeError:
        raise BadRequest("invalid_json", "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        told = f"The body is not JSON: {place}." if body else "There is no body."
        raise BadRequest("invalid_json", told) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, say
        raise BadRequest(
            "invalid_json", "The body is nested too deep, or a number too long."
        ) from None
    if not isinstance(fields, dict):
        raise BadRequest("invalid_json", "The body is not a JSON object.")
    return fields


def _refuse_number(text: str) -> None:
    raise BadRequest("invalid_json", f"{text[:_LONGEST_SHOWN]} is no number.")


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


class _Taker:
    """Takes fields one by one, each checked, and remembers which were asked for."""

    def __init__(self, fields: dict[str, Any], prefix: str = "") -> None:
        self._fields = {prefix + name: value for name, value in fields.items()}
        self._prefix = prefix
        self._known: list[str] = []

    def _take(self, name: str, default: Any) -> Any:
        self._known.append(name)
        return self._fields.get(name, default)

    def text(self, name: str) -> str:
        value = self._take(name, None)
        if name not in self._fields:
            raise BadRequest("missing_field", f"{name} is required.", field=name)
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a string")
        if not value:
            raise _out_of_range(name, value, "1 character or more")
        if "\0" in value:
            raise _out_of_range(name, "U+0000", "text without U+0000")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _out_of_range(
                name, "an unpaired surrogate", "text that UTF-8 can encode"
            ) from None
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self._take(name, default)
        allowed = f"{least}..{most}"
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(name, value, f"an integer {allowed}")
        if not least <= value <= most:
            raise _out_of_range(name, value, allowed)
        return value

    def choice(self, name: str, default: Choice, choices: tuple[Choice, ...]) -> Choice:
        value = self._take(name, default)
        if not isinstance(value, str):
            raise _wrong_type(name, value, list(choices))
        if value not in choices:
            raise _out_of_range(name, value, list(choices))
        return value

    def colour(
        self, name: str, default: str | None, *, transparent: bool = False
    ) -> str:
        value = self._take(name, default)
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
            raise _out_of_range(name, value, allowed)
        return value.lower()

    def gradient(self, name: str) -> Gradient | None:
        value = self._take(name, None)
        if name not in self._fields:
            return None
        if not isinstance(value, dict):
            raise _wrong_type(name, value, 'an object, {"type": ..., "to": ...}')
        take = _Taker(value, prefix=f"{name}.")
        types: tuple[Literal["linear", "radial"], ...] = ("linear", "radial")
        gradient = Gradient(
            take.choice(f"{name}.type", "linear", types),
            take.colour(f"{name}.to", None),
        )
        take.refuse_the_rest()
        return gradient

    def logo(self, name: str) -> bytes | None:
        value = self._take(name, None)
        if name not in self._fields:
            return None
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a data URL")
        return decode(value)

    def fraction(
        self, name: str, least: float, most: float, *, goes_with: str
    ) -> float | None:
        value = self._take(name, None)
        if name not in self._fields:
            return None
        allowed = f"{least}..{most}"
        if goes_with not in self._fields:
            raise _out_of_range(name, value, f"given together with {goes_with}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(name, value, f"a number {allowed}")
        if not least <= value <= most:
            raise _out_of_range(name, value, allowed)
        return float(value)

    def refuse_the_rest(self) -> None:
        unknown = sorted(set(self._fields) - set(self._known))
        if unknown:
            name = _shown(unknown[0])
            raise BadRequest(
                "unknown_field",
                f"{name} is not a field of this request.",
                field=name,
                allowed=self._known,
            )


def _wrong_type(name: str, value: Any, allowed: str | list[str]) -> BadRequest:
    return _refusal("invalid_type", name, value, allowed)


def _out_of_range(name: str, value: Any, allowed: str | list[str]) -> BadRequest:
    return _refusal("out_of_range", name, value, allowed)


def _refusal(code: str, name: str, value: Any, allowed: str | list[str]) -> BadRequest:
    wanted = allowed if isinstance(allowed, str) else ", ".join(allowed)
    return BadRequest(
        code,
        f"{name} must be {wanted}.",
        field=name,
        received=_shown(value),
        allowed=allowed,
    )


def _shown(value: Any) -> Any:
    """A wrong value as an error may repeat it: short, and encodable as UTF-8."""
    if value is None or isinstance(value, bool | int | float):
        text = json.dumps(value)
        return value if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    text = value if isinstance(value, str) else json.dumps(value)
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
