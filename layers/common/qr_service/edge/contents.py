"""The field `content` of `POST /generate`: what each of its types consists of.

To add a type, declare it in `content_field`, with the function that writes its text.
What its standard fixes of the symbol goes into `PINNED`.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from qr_service.content import cards, epc, uris, wifi
from qr_service.edge.fields import (
    TARGET,
    Boolean,
    Choice,
    Number,
    Object,
    Pattern,
    Text,
    Typed,
)

# What the standard of a type fixes, by the names of a request's fields.
PINNED: dict[str, dict[str, Any]] = {
    "epc": {"error_correction": "M", "boost_error_correction": False, "eci": "never"}
}
MAX_VERSIONS = {"epc": epc.MAX_VERSION}

_NO_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_PHONE = r"\+?[0-9][0-9 ().-]*"
_EMAIL = (
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_MOMENT = (
    r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
# The characters of a lot or a serial number (GS1 General Specifications, 7.11).
_GS1 = r"[!\"%&'()*+,./0-9:;<=>?A-Z_a-z-]+"
_GTIN = r"[0-9]{8}|[0-9]{12,14}"


def content_field(**common: Any) -> Typed:
    """Return the field; its value is a type, and the text for the image."""
    return Typed(
        name="content",
        example={"type": "tel", "number": "+1-201-555-0123"},
        variants=(
            _type(
                "wifi",
                "A Wi-Fi network to join.",
                wifi.wifi,
                Text("ssid", "Its name.", example="Café", required=True, most=32),
                Text(
                    "password",
                    "Required unless `security` is `none`.",
                    example="correct horse",
                    most=64,
                ),
                Choice(
                    "security",
                    "`WPA` stands for all its versions.",
                    example="WEP",
                    default="WPA",
                    choices=("WPA", "WEP", "none"),
                ),
                Boolean(
                    "hidden",
                    "Whether the network does not announce its name.",
                    example=True,
                    default=False,
                ),
            ),
            _type(
                "vcard",
                "A contact: vCard 3.0.",
                cards.vcard,
                _line("name", "Of a person or a firm.", 100, "Jane Doe", required=True),
                _line("organization", "Where they work.", 100, "Example Inc."),
                _line("title", "What they do there.", 100, "Head of Engineering"),
                _phone("phone"),
                _email("email", "Of the person or the firm."),
                _url("url", "Their page."),
                _lines(
                    "address", "Where they are.", 200, "1 Example Street\nExampleton"
                ),
                _lines("note", "What else there is to say.", 500, "Met at the fair."),
            ),
            _type(
                "event",
                "An event: a VEVENT of iCalendar.",
                cards.event,
                _line("title", "What it is.", 200, "Opening", required=True),
                _moment("start", "When it begins.", required=True),
                _moment("end", "When it ends."),
                _line("location", "Where it is.", 200, "Room 1"),
                _lines("description", "More about it.", 1000, "Doors open at six."),
            ),
            _type(
                "email",
                "A message to write: a mailto URI.",
                uris.email,
                _email("to", "Who gets it.", required=True),
                _line("subject", "Of the message.", 200, "Table 12"),
                _lines("body", "How the message begins.", 1000, "Hello,"),
            ),
            _type(
                "sms",
                "A short message to send: an sms URI.",
                uris.sms,
                _phone("number", required=True),
                _lines("message", "What it says.", 500, "Hello"),
            ),
            _type(
                "tel",
                "A number to call: a tel URI.",
                uris.tel,
                _phone("number", required=True),
            ),
            _type(
                "geo",
                "A place: a geo URI.",
                uris.geo,
                _degrees("latitude", 90, 48.20849),
                _degrees("longitude", 180, 16.37208),
            ),
            _type(
                "epc",
                "A SEPA credit transfer: EPC069-12, always at level `M`, at most at "
                "version 13.",
                epc.epc,
                _line(
                    "name", "Who is paid.", 70, "Red Cross of Belgium", required=True
                ),
                Pattern(
                    "iban",
                    "The account; spaces are left out.",
                    example="BE72 0000 0000 1616",
                    required=True,
                    pattern="[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}",
                    most=42,
                    allowed="an IBAN with right check digits",
                    read=epc.checked,
                ),
                Pattern(
                    "bic",
                    "The bank; not needed within the EEA.",
                    example="BPOTBEB1",
                    pattern="[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?",
                    most=11,
                    allowed="a BIC of 8 or 11 characters",
                ),
                Number(
                    "amount",
                    "At most two decimals; whoever pays decides if there is none.",
                    example=12.3,
                    least=0.01,
                    most=999999999.99,
                    unit="EUR",
                ),
                Pattern(
                    "reference",
                    "A creditor reference (ISO 11649), or else `text`.",
                    example="RF18 5390 0754 7034",
                    pattern="[Rr][Ff][0-9]{2}(?: ?[A-Za-z0-9]){1,21}",
                    most=31,
                    allowed="a creditor reference, RF and right check digits",
                    read=epc.checked,
                ),
                _line("text", "What for, or else `reference`.", 140, "Urgency fund"),
                Pattern(
                    "purpose",
                    "A code of ISO 20022.",
                    example="CHAR",
                    pattern="[A-Z0-9]{1,4}",
                    most=4,
                    allowed="1..4 capital letters and digits",
                ),
            ),
            _type(
                "gs1_link",
                "An article: GS1 Digital Link, with the key, lot and serial in its "
                "path.",
                uris.gs1_link,
                Pattern(
                    "gtin",
                    "The number under its bar code.",
                    example="09520123456788",
                    required=True,
                    pattern=_GTIN,
                    most=14,
                    allowed="8, 12, 13 or 14 digits with a right check digit",
                    read=uris.check_gtin,
                ),
                _gs1("lot", "The batch.", "ABC1"),
                _gs1("serial", "The single piece.", "12345"),
                Pattern(
                    "expiry",
                    "The day after which it is not to be used.",
                    example="2030-04-26",
                    pattern="20[0-9]{2}-[0-9]{2}-[0-9]{2}",
                    most=10,
                    allowed="a date of this century, YYYY-MM-DD",
                    read=date.fromisoformat,
                ),
                Pattern(
                    "domain",
                    "Whose links they are.",
                    example="example.com",
                    default="id.gs1.org",
                    pattern=_HOST,
                    most=100,
                    allowed="a domain name",
                ),
            ),
        ),
        **common,
    )


def _type(name: str, about: str, text: Callable[..., str], *members: Any) -> Object:
    example = {each.name: each.example for each in members if each.required}
    return Object(name, about, members=members, build=text, example=example)


def _line(name: str, about: str, most: int, example: str, **common: Any) -> Pattern:
    return Pattern(
        name,
        about,
        example=example,
        pattern=f"[^{_NO_CONTROL}]+",
        most=most,
        allowed=f"1..{most} characters on one line",
        **common,
    )


def _lines(name: str, about: str, most: int, example: str) -> Pattern:
    return Pattern(
        name,
        about,
        example=example,
        pattern=rf"(?:[^{_NO_CONTROL}]|\r|\n)+",
        most=most,
        allowed=f"1..{most} characters and line breaks",
    )


def _phone(name: str, **common: Any) -> Pattern:
    return Pattern(
        name,
        "Best with the code of the country, as from abroad.",
        example="+1-201-555-0123",
        pattern=_PHONE,
        most=32,
        allowed="digits, with + in front, and spaces, - . ( ) between them",
        read=lambda number: number.replace(" ", ""),
        **common,
    )


def _email(name: str, about: str, **common: Any) -> Pattern:
    return Pattern(
        name,
        about,
        example="jane@example.com",
        pattern=_EMAIL,
        most=254,
        allowed="an address such as jane@example.com, in ASCII",
        **common,
    )


def _url(name: str, about: str) -> Pattern:
    return Pattern(
        name,
        about,
        example="https://example.com/jane",
        pattern=TARGET,
        most=500,
        allowed="an http or https URI of at most 500 ASCII characters",
    )


def _moment(name: str, about: str, **common: Any) -> Pattern:
    return Pattern(
        name,
        about,
        example="2030-06-01T18:00:00+02:00",
        pattern=_MOMENT,
        most=25,
        allowed="a moment such as 2030-06-01T18:00:00Z or 2030-06-01T20:00:00+02:00",
        read=datetime.fromisoformat,
        **common,
    )


def _degrees(name: str, most: int, example: float) -> Number:
    return Number(
        name,
        "In WGS 84; seven decimals are a centimetre.",
        example=example,
        required=True,
        least=-most,
        most=most,
        unit="degrees",
    )


def _gs1(name: str, about: str, example: str) -> Pattern:
    return Pattern(
        name,
        about,
        example=example,
        pattern=_GS1,
        most=20,
        allowed="1..20 of the characters that GS1 allows",
    )
