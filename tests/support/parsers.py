"""Texts of content types back to their fields, by parsers that others wrote.

`fields_of` reads a text as a telephone would; `same` says what a parser may change of a
value without changing what it means.
"""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import biip
import icalendar
import vobject
from biip.gs1_digital_link_uris import GS1DigitalLinkURI
from stdnum import bic, iban, iso11649

# Wi-Fi has no parser that is kept; this one follows ZXing's description.
_WIFI = re.compile(r"([A-Z]):((?:[^\\;]|\\.)*);")
_EPC = ("name", "iban", "amount", "purpose", "reference", "text")


def fields_of(kind, text):
    """Return the type and the fields that a text says, as a request has them."""
    return {"type": kind, **PARSERS[kind](text)}


def _wifi(text):
    assert text.startswith("WIFI:")
    assert text.endswith(";;")
    found = dict(_WIFI.findall(text[len("WIFI:") : -1]))
    plain = {name: re.sub(r"\\(.)", r"\1", each) for name, each in found.items()}
    kind = plain["T"]
    return {
        "ssid": plain["S"],
        "security": "none" if kind == "nopass" else kind,
        **({"password": plain["P"]} if "P" in plain else {}),
        **({"hidden": True} if plain.get("H") == "true" else {}),
    }


def _vcard(text):
    card = vobject.readOne(text)
    assert card.version.value == "3.0"
    assert card.n.value.family == card.fn.value
    found = {"name": card.fn.value}
    for name, attribute in (
        ("title", "title"),
        ("phone", "tel"),
        ("email", "email"),
        ("url", "url"),
        ("note", "note"),
    ):
        if hasattr(card, attribute):
            found[name] = getattr(card, attribute).value
    if hasattr(card, "org"):
        (found["organization"],) = card.org.value
    if hasattr(card, "adr"):
        found["address"] = card.adr.value.street
    return found


def _event(text):
    event = icalendar.Event.from_ical(text)
    found = {"title": str(event["SUMMARY"])}
    for name, property_ in (("start", "DTSTART"), ("end", "DTEND")):
        if property_ in event:
            moment = event.decoded(property_)
            assert moment.tzinfo is not None
            found[name] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in ("location", "description"):
        if name.upper() in event:
            found[name] = str(event[name.upper()])
    return found


def _email(text):
    parts = urlsplit(text)
    assert parts.scheme == "mailto"
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    return {"to": unquote(parts.path)} | {name: each[0] for name, each in query.items()}


def _sms(text):
    parts = urlsplit(text)
    assert parts.scheme == "sms"
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    return {"number": parts.path} | ({"message": query["body"][0]} if query else {})


def _tel(text):
    parts = urlsplit(text)
    assert parts.scheme == "tel"
    return {"number": parts.path}


def _geo(text):
    parts = urlsplit(text)
    assert parts.scheme == "geo"
    latitude, longitude = parts.path.split(",")
    return {"latitude": float(latitude), "longitude": float(longitude)}


def _epc(text):
    tag, version, charset, kind, bank, *lines = text.split("\n")
    assert (tag, version, charset, kind) == ("BCD", "002", "1", "SCT")
    found = {name: line for name, line in zip(_EPC, lines, strict=False) if line}
    iban.validate(found["iban"])
    if bank:
        found["bic"] = bic.validate(bank)
    if "reference" in found:
        iso11649.validate(found["reference"])
    if "amount" in found:
        assert re.fullmatch(r"EUR[0-9]+(\.[0-9]{1,2})?", found["amount"])
        found["amount"] = float(found["amount"].removeprefix("EUR"))
    return found


def _gs1_link(text):
    link = GS1DigitalLinkURI.parse(text)
    assert biip.parse(text).gs1_digital_link_uri == link
    found = {"domain": urlsplit(text).netloc}
    for element in link.element_strings:
        name = {"01": "gtin", "10": "lot", "21": "serial", "17": "expiry"}[
            element.ai.ai
        ]
        found[name] = element.date.isoformat() if name == "expiry" else element.value
    return found


PARSERS = {
    "wifi": _wifi,
    "vcard": _vcard,
    "event": _event,
    "email": _email,
    "sms": _sms,
    "tel": _tel,
    "geo": _geo,
    "epc": _epc,
    "gs1_link": _gs1_link,
}


def meant(content):
    """Return fields with their defaults, and each value in one way of writing it."""
    kind = content["type"]
    found = {name: _plain(name, value) for name, value in content.items()}
    if kind == "wifi":
        found.setdefault("security", "WPA")
        found.setdefault("hidden", False)
    if kind == "gs1_link":
        found.setdefault("domain", "id.gs1.org")
        found["gtin"] = found["gtin"].zfill(14)
        found["domain"] = found["domain"].lower()
    return found


def _plain(name, value):
    match name:
        case "start" | "end":
            return datetime.fromisoformat(value).astimezone(UTC)
        case "iban" | "reference":
            return value.replace(" ", "").upper()
        case "number" | "phone":
            return value.replace(" ", "")
        case "latitude" | "longitude":
            return round(value, 7) + 0.0
        case "address" | "note" | "description" | "body" | "message":
            return re.sub(r"\r\n?", "\n", value)
    return value
