"""Each type of content: examples of its standard, byte for byte, and its refusals."""

import json

import pytest
from qr_service.edge.contents import content_field
from qr_service.edge.request import parse
from qr_service.errors import BadRequest, Unscannable
from qr_service.proving import prove

from tests.support.logos import LOGOS, data_url

EPC = {
    "type": "epc",
    "name": "Franz Mustermänn",
    "iban": "DE71 1102 2033 0123 4567 89",
    "amount": 12.3,
    "purpose": "GDDS",
    "reference": "RF18 5390 0754 7034",
}
# What the standards, or those who wrote them, show: fields, and the text.
EXAMPLES = {
    "wifi (ZXing)": (
        {"type": "wifi", "ssid": "mynetwork", "password": "mypass99"},
        "WIFI:T:WPA;S:mynetwork;P:mypass99;;",
    ),
    "wifi, special characters (ZXing)": (
        {"type": "wifi", "ssid": '"foo;bar\\baz"', "security": "none"},
        'WIFI:T:nopass;S:\\"foo\\;bar\\\\baz\\";;',
    ),
    "wifi, hidden": (
        {
            "type": "wifi",
            "ssid": "a",
            "security": "WEP",
            "password": "12345",
            "hidden": True,
        },
        "WIFI:T:WEP;S:a;P:12345;H:true;;",
    ),
    "vcard (RFC 2426)": (
        {
            "type": "vcard",
            "name": "Frank Dawson",
            "organization": "Lotus Development Corporation",
            "phone": "+1-919-676-9515",
            "email": "Frank_Dawson@Lotus.com",
            "address": "6544 Battleford Drive, Raleigh",
        },
        (
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Frank Dawson;;;;\r\nFN:Frank Dawson\r\n"
            "ORG:Lotus Development Corporation\r\nTEL:+1-919-676-9515\r\n"
            "EMAIL:Frank_Dawson@Lotus.com\r\n"
            "ADR:;;6544 Battleford Drive\\, Raleigh;;;;\r\nEND:VCARD\r\n"
        ),
    ),
    "event (RFC 5545)": (
        {
            "type": "event",
            "title": "Networld+Interop Conference",
            "start": "1996-09-18T14:30:00Z",
            "end": "1996-09-21T00:00:00+02:00",
            "location": "Atlanta, Georgia",
            "description": "Atlanta World Congress Center\nAtlanta",
        },
        (
            "BEGIN:VEVENT\r\nSUMMARY:Networld+Interop Conference\r\n"
            "DTSTART:19960918T143000Z\r\nDTEND:19960920T220000Z\r\n"
            "LOCATION:Atlanta\\, Georgia\r\n"
            "DESCRIPTION:Atlanta World Congress Center\\nAtlanta\r\nEND:VEVENT\r\n"
        ),
    ),
    "email (RFC 6068, 6.1)": (
        {
            "type": "email",
            "to": "infobot@example.com",
            "subject": "current-issue",
        },
        "mailto:infobot@example.com?subject=current-issue",
    ),
    "email, lines (RFC 6068, 6.1)": (
        {
            "type": "email",
            "to": "infobot@example.com",
            "body": "send current-issue\nsend index",
        },
        "mailto:infobot@example.com?body=send%20current-issue%0D%0Asend%20index",
    ),
    "email, accents (RFC 6068, 6.3)": (
        {"type": "email", "to": "user@example.org", "subject": "café"},
        "mailto:user@example.org?subject=caf%C3%A9",
    ),
    "sms (RFC 5724, 2.5)": (
        {"type": "sms", "number": "+15105550101", "message": "hello there"},
        "sms:+15105550101?body=hello%20there",
    ),
    "tel (RFC 3966, 6)": (
        {"type": "tel", "number": "+1-201-555-0123"},
        "tel:+1-201-555-0123",
    ),
    "geo (RFC 5870, 6.1)": (
        {"type": "geo", "latitude": 48.2010, "longitude": 16.3695},
        "geo:48.201,16.3695",
    ),
    "geo, small (RFC 5870)": (
        {"type": "geo", "latitude": -0.00000001, "longitude": 0.0000001},
        "geo:0,0.0000001",
    ),
    "epc": (
        EPC,
        (
            "BCD\n002\n1\nSCT\n\nFranz Mustermänn\nDE71110220330123456789\nEUR12.3\n"
            "GDDS\nRF18539007547034"
        ),
    ),
    "epc, text and bank": (
        {
            "type": "epc",
            "bic": "BPOTBEB1",
            "name": "Red Cross of Belgium",
            "iban": "BE72000000001616",
            "amount": 1,
            "purpose": "CHAR",
            "text": "Urgency fund",
        },
        (
            "BCD\n002\n1\nSCT\nBPOTBEB1\nRed Cross of Belgium\nBE72000000001616\nEUR1\n"
            "CHAR\n\nUrgency fund"
        ),
    ),
    "epc, whatever amount": (
        {"type": "epc", "name": "A", "iban": "be72000000001616"},
        "BCD\n002\n1\nSCT\n\nA\nBE72000000001616",
    ),
    "gs1_link": (
        {
            "type": "gs1_link",
            "gtin": "9520123456788",
            "lot": "ABC1",
            "serial": "12345",
            "expiry": "2018-04-26",
        },
        "https://id.gs1.org/01/09520123456788/10/ABC1/21/12345?17=180426",
    ),
    "gs1_link, other characters": (
        {
            "type": "gs1_link",
            "gtin": "96385074",
            "lot": "A/B&1",
            "domain": "Example.com",
        },
        "https://example.com/01/00000096385074/10/A%2FB%261",
    ),
}


def parsed(settings, content, **more):
    return parse(json.dumps({"content": content, **more}).encode(), settings)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_standards_are_written_byte_for_byte(settings, name):
    content, text = EXAMPLES[name]
    assert parsed(settings, content).data == text


def test_every_type_has_an_example():
    types = {content["type"] for content, _ in EXAMPLES.values()}
    assert types == {*content_field(about="").variants}


BASES = {content["type"]: content for content, _ in reversed(EXAMPLES.values())}
BASES["wifi"] = {"type": "wifi", "ssid": "a", "password": "12345678"}
WRONG = [
    *(("wifi", {"ssid": each}) for each in ("", "x" * 33, "ä" * 17, None, 1)),
    *(("wifi", {"password": each}) for each in ("1234567", "x" * 64, "pässword")),
    ("wifi", {"password": "g" * 64}),
    *(("wifi", {"password": "1234", "security": each}) for each in ("WEP", "none")),
    ("wifi", {"security": "WPA3"}),
    ("wifi", {"hidden": "true"}),
    *(("vcard", {"name": each}) for each in ("", "a\nb", "x" * 101, "\ud800")),
    *(("vcard", {"phone": each}) for each in ("", "abc", "tel:1", "+", "1;ext=2")),
    *(("vcard", {"email": each}) for each in ("a", "a@", "@b", "a b@c", "a@b@c")),
    *(("vcard", {"url": each}) for each in ("x", "javascript:1", "http://a b")),
    ("vcard", {"note": "\x07"}),
    ("vcard", {"fax": "1"}),
    *(("event", {"start": each}) for each in ("2030-06-01", "2030-06-01T18:00:00")),
    *(("event", {"start": each}) for each in ("2030-02-30T18:00:00Z", "", 1)),
    ("event", {"start": "0001-01-01T00:00:00+23:59"}),
    ("event", {"end": "1996-09-18T14:29:59Z"}),
    ("event", {"title": "a\r\nATTACH:x"}),
    ("email", {"to": "a@b.example?bcc=c@d.example"}),
    ("email", {"subject": "a\nBcc: b"}),
    ("sms", {"number": "1?body=x"}),
    ("tel", {"number": "*21#"}),
    *(("geo", {"latitude": each}) for each in (90.1, -91, "48", None)),
    *(("geo", {"longitude": each}) for each in (180.1, -181)),
    *(("epc", {"iban": each}) for each in ("DE71110220330123456788", "DE", "X" * 20)),
    ("epc", {"reference": "RF19539007547034"}),
    ("epc", {"reference": "123456"}),
    *(("epc", {"amount": each}) for each in (0, 0.001, 1.005, 10**9, "1", True)),
    *(("epc", {"name": each}) for each in ("", "a\nb", "x" * 71)),
    *(("epc", {"bic": each}) for each in ("BPOTBEB", "bpotbeb1", "BPOTBEB1XX")),
    ("epc", {"purpose": "CHARI"}),
    *(("gs1_link", {"gtin": each}) for each in ("9520123456789", "952", "x" * 13)),
    ("gs1_link", {"lot": "a b"}),
    ("gs1_link", {"serial": "x" * 21}),
    ("gs1_link", {"expiry": "2030-02-30"}),
    ("gs1_link", {"expiry": "1999-01-01"}),
    ("gs1_link", {"domain": "example.com/x"}),
]


@pytest.mark.parametrize(("kind", "wrong"), WRONG)
def test_a_mistake_is_named_with_its_place(settings, kind, wrong):
    with pytest.raises(BadRequest) as error:
        parsed(settings, {**BASES[kind], **wrong})
    field = f"content.{next(iter(wrong))}"
    assert error.value.fields["field"] == field
    assert error.value.fields["allowed"]
    assert error.value.detail


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "content.type"),
        ({"type": "x"}, "content.type"),
        ({"type": None}, "content.type"),
        ("WIFI:S:a;;", "content"),
        (None, "content"),
        ({"type": "wifi", "ssid": "a"}, "content.password"),
        ({"type": "vcard"}, "content.name"),
        ({"type": "epc", "name": "x"}, "content.iban"),
        ({**EPC, "text": "both"}, "content.text"),
        ({**EPC, "name": "€" * 70, "reference": "RF18539007547034"}, None),
        (
            {**EPC, "name": "€" * 70, "reference": None} | {"text": "€" * 40},
            "content.reference",
        ),
    ],
)
def test_what_is_missing_or_too_much_is_named(settings, content, field):
    if field is None:
        assert len(parsed(settings, content).data.encode()) <= 331
        return
    with pytest.raises(BadRequest) as error:
        parsed(settings, content)
    assert error.value.fields["field"] == field


def test_a_payment_of_too_many_bytes_says_so(settings):
    content = {k: v for k, v in EPC.items() if k != "reference"}
    with pytest.raises(BadRequest) as error:
        parsed(settings, {**content, "text": "€" * 140})
    assert error.value.fields["field"] == "content.text"
    assert "331 bytes" in error.value.detail


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"data": "x"}, "data"),
        ({"dynamic": True, "expiration_hours": 1}, "dynamic"),
    ],
)
def test_content_excludes_what_is_instead_of_it(settings, more, field):
    with pytest.raises(BadRequest) as error:
        parsed(settings, BASES["tel"], **more)
    assert error.value.fields["field"] == field


def test_data_or_content_is_required(settings):
    with pytest.raises(BadRequest) as error:
        parse(b"{}", settings)
    assert error.value.fields["field"] == "data"
    assert error.value.fields["allowed"] == ["data", "content"]


def test_a_payment_is_always_at_level_m_without_an_eci(settings):
    for name in ("Ä", "€" * 70, "A" * 70):
        proof = prove(parsed(settings, {**EPC, "name": name}))
        assert proof.symbol.level == "M"
        assert proof.symbol.version <= 13
        assert not proof.symbol.announced


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ({"error_correction": "H"}, "M with content of type epc"),
        ({"boost_error_correction": True}, "false with content of type epc"),
        ({"eci": "auto"}, "never with content of type epc"),
    ],
)
def test_what_the_standard_fixes_cannot_be_changed(settings, more, allowed):
    with pytest.raises(BadRequest) as error:
        parsed(settings, EPC, **more)
    assert error.value.fields["field"] == next(iter(more))
    assert error.value.fields["allowed"] == allowed
    fixed = {"error_correction": "M", "boost_error_correction": False, "eci": "never"}
    assert parsed(settings, EPC, **fixed).data == parsed(settings, EPC).data


def test_a_logo_never_makes_a_payment_larger_than_the_standard_allows(settings):
    logo = data_url(LOGOS["disc"])
    assert prove(parsed(settings, EPC, logo=logo)).symbol.version <= 13
    longest = {**EPC, "name": "€" * 70}
    with pytest.raises(Unscannable) as error:
        prove(parsed(settings, longest, logo=logo, logo_size=0.22))
    assert error.value.fields["field"].startswith("logo")


def test_other_types_keep_the_levels_of_any_text(settings):
    request = parsed(settings, BASES["wifi"])
    assert (request.error_correction, request.boost_error_correction) == ("M", True)
    assert (request.eci, request.most_version) == ("auto", 40)
