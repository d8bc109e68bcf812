"""The fields of a JSON object, each declared once: what is checked, and what is said.

A declaration has all that the parser and the documentation need: docs/fields.py writes
the tables of docs/api.md from it. Every mistake raises BadRequest, which names the
field, the received value and the allowed values.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from qr_service.engine.colours import TRANSPARENT
from qr_service.engine.logo import decode
from qr_service.errors import BadField, BadRequest, shown

COLOUR = "#[0-9A-Fa-f]{6}"
_COLOUR = re.compile(COLOUR)
MOST_TARGET = 2048  # characters
# RFC 3986, without a user name; a host is a name of letters and digits, or an address.
TARGET = (
    r"[Hh][Tt][Tt][Pp][Ss]?://"
    r"(?P<host>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])"
    r"(?::[0-9]{1,5})?"
    r"(?:[/?#](?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?"
)
_TARGET = re.compile(TARGET)

Allowed = str | list[str]


class Field:
    """A field of any kind.

    `about` says what it is for, `example` is a value. `default` is its value if it is
    missing, unless it is `required`; null is accepted if it is `nullable`; `needs` is
    another field without which it is refused. `allowed` is what is accepted, in the
    words of an error.
    """

    allowed: Allowed

    # These are no dataclasses: each would take half a millisecond of the import.
    def __init__(
        self,
        name: str,
        about: str,
        *,
        example: Any,
        default: Any = None,
        required: bool = False,
        nullable: bool = False,
        needs: str = "",
    ) -> None:
        self.name = name
        self.about = about
        self.example = example
        self.default = default
        self.required = required
        self.nullable = nullable
        self.needs = needs

    def check(self, name: str, value: Any) -> Any:
        """Return the value as the service uses it; raises BadRequest."""
        raise NotImplementedError

    def read(self, fields: Mapping[str, Any], prefix: str = "") -> Any:
        """Return the field's value, or its default; raises BadRequest."""
        name = prefix + self.name
        if self.name not in fields:
            if self.required:
                detail = f"{name} is required."
                raise BadRequest(
                    "missing_field", detail, field=name, allowed=self.allowed
                )
            return self.default
        value = fields[self.name]
        if value is None and self.nullable:
            return None
        if self.needs and self.needs not in fields and value != self.default:
            raise BadField(name, value, f"given together with {self.needs}")
        return self.check(name, value)


class Text(Field):
    """Text of one to `most` characters that UTF-8 can encode, without U+0000."""

    def __init__(
        self, name: str, about: str, *, most: int | None = None, **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.most = most
        self.allowed = f"1..{most} characters" if most else "1 character or more"

    def check(self, name: str, value: Any) -> str:
        """Return the text."""
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a string")
        if not value or (self.most and len(value) > self.most):
            raise BadField(name, value, self.allowed)
        if "\0" in value:
            raise BadField(name, "U+0000", "text without U+0000")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadField(
                name, "an unpaired surrogate", "text that UTF-8 can encode"
            ) from None
        return value


class Pattern(Field):
    """Text of at most `most` characters that a pattern describes, and that is checked.

    `read` makes the value of it; it raises ValueError for text that is wrong in another
    way, such as a wrong check digit.
    """

    def __init__(
        self,
        name: str,
        about: str,
        *,
        pattern: str,
        most: int,
        allowed: str,
        read: Callable[[str], Any] = str,
        **common: Any,
    ) -> None:
        super().__init__(name, about, **common)
        self.pattern = pattern
        self.most = most
        self.allowed = allowed
        self.convert = read

    def check(self, name: str, value: Any) -> Any:
        """Return what `read` makes of the text."""
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a string")
        if len(value) <= self.most and re.fullmatch(self.pattern, value):
            with suppress(ValueError):
                value.encode()  # no unpaired surrogate
                return self.convert(value)
        raise BadField(name, value, self.allowed)


class Target(Field):
    """Where a scan is sent: an http or https URI, not one of this service itself.

    In ASCII as RFC 3986 writes it, without a user name that could pose as a host.
    """

    most = MOST_TARGET
    pattern = TARGET
    allowed = f"an http or https URI of at most {MOST_TARGET:,} ASCII characters"

    def __init__(
        self, name: str, about: str, *, own_hosts: Collection[str], **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.own_hosts = own_hosts

    def check(self, name: str, value: Any) -> str:
        """Return the URI."""
        if not isinstance(value, str):
            raise _wrong_type(name, value, "a string")
        match = _TARGET.fullmatch(value) if len(value) <= self.most else None
        if not match:
            raise BadField(name, value, self.allowed)
        if match["host"].lower().rstrip(".") in self.own_hosts:
            raise BadField(name, value, "a URI of another host than this service")
        return value


class Boolean(Field):
    """True or false."""

    allowed = "true or false"

    def check(self, name: str, value: Any) -> bool:
        """Return true or false."""
        if not isinstance(value, bool):
            raise _wrong_type(name, value, self.allowed)
        return value


class Number(Field):
    """A number from `least` to `most`, which may have to be an integer."""

    def __init__(
        self,
        name: str,
        about: str,
        *,
        least: float,
        most: float,
        unit: str,
        integer: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(name, about, **common)
        self.least = least
        self.most = most
        self.unit = unit
        self.integer = integer
        self.allowed = f"{least}..{most}"

    def check(self, name: str, value: Any) -> float:
        """Return the number."""
        if self.integer and isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON does not distinguish 10.0 from 10
        kinds = int if self.integer else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            kind = "an integer" if self.integer else "a number"
            raise _wrong_type(name, value, f"{kind} {self.allowed}")
        if not self.least <= value <= self.most:
            raise BadField(name, value, self.allowed)
        return value


class Choice(Field):
    """One of the `choices`."""

    def __init__(
        self, name: str, about: str, *, choices: tuple[str, ...], **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.choices = choices
        self.allowed = list(choices)

    def check(self, name: str, value: Any) -> str:
        """Return the choice."""
        if not isinstance(value, str):
            raise _wrong_type(name, value, self.allowed)
        if value not in self.choices:
            raise BadField(name, value, self.allowed)
        return value


class Colour(Field):
    """A colour as #RRGGBB; `transparent` says whether there may be none."""

    def __init__(
        self, name: str, about: str, *, transparent: bool = False, **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.transparent = transparent
        self.allowed = f"#RRGGBB or {TRANSPARENT}" if transparent else "#RRGGBB"

    def check(self, name: str, value: Any) -> str:
        """Return the colour, in lower case."""
        if not isinstance(value, str):
            raise _wrong_type(name, value, self.allowed)
        if self.transparent and value == TRANSPARENT:
            return value
        if not _COLOUR.fullmatch(value):
            raise BadField(name, value, self.allowed)
        return value.lower()


class Object(Field):
    """An object with fields of its own, from which `build` makes the value."""

    def __init__(
        self,
        name: str,
        about: str,
        *,
        members: tuple[Field, ...],
        build: Callable[..., Any],
        **common: Any,
    ) -> None:
        super().__init__(name, about, **common)
        self.members = members
        self.build = build
        names = ", ".join(f'"{member.name}": ...' for member in members)
        self.allowed = f"an object, {{{names}}}"

    def check(self, name: str, value: Any) -> Any:
        """Return what `build` makes of the members."""
        if not isinstance(value, dict):
            raise _wrong_type(name, value, self.allowed)
        return self.build(**read_all(self.members, value, f"{name}."))


class Typed(Field):
    """An object whose member `type` says which of the `variants` it is."""

    def __init__(
        self, name: str, about: str, *, variants: tuple[Object, ...], **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.variants = {variant.name: variant for variant in variants}
        self.type = Choice(
            name="type",
            about="Which of them.",
            example=variants[0].name,
            choices=tuple(self.variants),
            required=True,
        )
        self.allowed = 'an object, {"type": ..., ...}'

    def check(self, name: str, value: Any) -> tuple[str, Any]:
        """Return the type, and what the variant makes of the other members."""
        if not isinstance(value, dict):
            raise _wrong_type(name, value, self.allowed)
        kind = self.type.read(value, f"{name}.")
        rest = {member: value[member] for member in value if member != "type"}
        return kind, self.variants[kind].check(name, rest)


class Shared(Field):
    """An object with any of the fields `of` another object, not checked yet."""

    def __init__(
        self, name: str, about: str, *, of: Sequence[Field], **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.of = of
        self.allowed = "an object with fields of an item"

    def check(self, name: str, value: Any) -> dict[str, Any]:
        """Return the object."""
        if not isinstance(value, dict):
            raise _wrong_type(name, value, self.allowed)
        _refuse_unknown(self.of, value, f"{name}.")
        return value


class Items(Field):
    """One to `most` objects, each with the fields `of` an item, not checked yet."""

    def __init__(
        self, name: str, about: str, *, of: Sequence[Field], most: int, **common: Any
    ) -> None:
        super().__init__(name, about, **common)
        self.of = of
        self.most = most
        self.allowed = f"a list of 1..{most} objects"

    def check(self, name: str, value: Any) -> list[Any]:
        """Return the list."""
        if not isinstance(value, list):
            raise _wrong_type(name, value, self.allowed)
        if not 1 <= len(value) <= self.most:
            raise BadField(name, f"{len(value)} items", self.allowed)
        return value


class Logo(Field):
    """The file of a logo, as a data URL."""

    allowed = "a data URL"

    def check(self, name: str, value: Any) -> bytes:
        """Return the file."""
        if not isinstance(value, str):
            raise _wrong_type(name, value, self.allowed)
        return decode(value)


def read_all(
    declared: Sequence[Field], fields: Mapping[str, Any], prefix: str = ""
) -> dict[str, Any]:
    """Return the value of every declared field by its name; raises BadRequest.

    A field that is not declared is refused. `prefix` is put before names in errors.
    """
    values = {field.name: field.read(fields, prefix) for field in declared}
    _refuse_unknown(declared, fields, prefix)
    return values


def _refuse_unknown(
    declared: Sequence[Field], fields: Mapping[str, Any], prefix: str
) -> None:
    unknown = sorted(fields.keys() - {field.name for field in declared})
    if unknown:
        name = shown(prefix + unknown[0])
        raise BadRequest(
            "unknown_field",
            f"{name} is not a field of this request.",
            field=name,
            allowed=[prefix + field.name for field in declared],
        )


def _wrong_type(name: str, value: Any, allowed: Allowed) -> BadField:
    return BadField(name, value, allowed, code="invalid_type")
