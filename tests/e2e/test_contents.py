"""Content of each type at the running service: made, scanned, and understood."""

import pytest
from qr_service.engine.readback import read

from local import http
from tests.support.parsers import PARSERS, fields_of, meant
from tests.support.scanners import needs_zbar, opencv_reads, zbar_reads

CONTENTS = {
    "wifi": {"ssid": "Cafe; the one, \\ here", "password": 'correct "horse"'},
    "vcard": {
        "name": "Jane O'Neill; MSc",
        "organization": "Example, Inc.",
        "title": "Head of Engineering",
        "phone": "+1 201 555 0123",
        "email": "jane@example.com",
        "url": "https://example.com/jane?a=b",
        "address": "1 Example Street\nExampleton",
        "note": "Met at the fair.\nCall back!",
    },
    "event": {
        "title": "Opening, with music",
        "start": "2030-06-01T18:00:00+02:00",
        "end": "2030-06-01T23:30:00+02:00",
        "location": "Room 1; upstairs",
        "description": "Doors open at six.\nBring a friend.",
    },
    "email": {"to": "jane@example.com", "subject": "Table 12 & 13", "body": "Hello,\n"},
    "sms": {"number": "+1 510 555 0101", "message": "hello there? yes & no"},
    "tel": {"number": "+1-201-555-0123"},
    "geo": {"latitude": 48.20849, "longitude": -16.37208},
    "epc": {
        "name": "Red Cross of Belgium",
        "iban": "BE72 0000 0000 1616",
        "bic": "BPOTBEB1",
        "amount": 12.3,
        "purpose": "CHAR",
        "text": "Urgency fund",
    },
    "gs1_link": {
        "gtin": "9520123456788",
        "lot": "ABC/1",
        "serial": "12345",
        "expiry": "2030-04-26",
    },
}
FORMATS = ("png", "svg", "pdf", "eps")


def made(service, content, **fields):
    """Create a code and return the answer, and the image."""
    created = http.post(f"{service}/generate", {"content": content, **fields})
    assert created.status == 201, created
    found = http.get(f"{service}/retrieve/{created.json['qr_id']}")
    return created.json, http.get(found.json["qr_code"]).body


def test_every_type_is_made():
    assert {*CONTENTS} == {*PARSERS}


@needs_zbar
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_was_made_is_scanned_and_understood(service, kind, form):
    content = {"type": kind, **CONTENTS[kind]}
    answer, body = made(service, content, format=form)
    scans = {read(body).payload, zbar_reads(body), opencv_reads(body)}
    assert len(scans) == 1, "three readers read the same"
    text = scans.pop().decode()
    assert meant(fields_of(kind, text)) == meant(content)
    if kind == "epc":
        assert answer["error_correction"] == "M"
        assert answer["version"] <= 13


@needs_zbar
@pytest.mark.parametrize("length", [1, 20, 70])
def test_a_payment_is_at_level_m_and_at_most_at_version_13(service, length):
    """The longest text included; level H would fit a short one as well."""
    content = {"type": "epc", **CONTENTS["epc"], "name": "N" * length}
    content["text"] = "T" * 2 * length
    for form in FORMATS:
        answer, body = made(service, content, format=form)
        assert (answer["error_correction"], answer["version"] <= 13) == ("M", True)
        reading = read(body)
        assert reading.payload == zbar_reads(body)
        assert meant(fields_of("epc", reading.text)) == meant(content)


def test_accents_are_read_in_every_type(service):
    for kind, name in (
        ("wifi", "ssid"),
        ("vcard", "name"),
        ("event", "title"),
        ("email", "subject"),
        ("sms", "message"),
        ("epc", "name"),
    ):
        content = {"type": kind, **CONTENTS[kind], name: "Grüße, 日本 €"}
        _, body = made(service, content)
        assert meant(fields_of(kind, read(body).payload.decode())) == meant(content)


def test_the_owner_sees_the_text_that_was_written(service):
    answer, _ = made(service, {"type": "tel", **CONTENTS["tel"]})
    found = http.get(f"{service}/codes/{answer['qr_id']}")
    assert found.json["data"] == "tel:+1-201-555-0123"


def test_a_wrong_check_digit_is_refused_by_its_place(service):
    content = {"type": "epc", **CONTENTS["epc"], "iban": "BE72000000001617"}
    refused = http.post(f"{service}/generate", {"content": content})
    assert (refused.status, refused.json["field"]) == (400, "content.iban")
    assert refused.json["allowed"] == "an IBAN with right check digits"
