"""Whatever content is written, parsers of others read the same fields from it.

`make fuzz` does it with 10,000 random contents of each type (ROUND_TRIPS).
"""

import json
import os
import string
from datetime import UTC, date, datetime

import pytest
import segno.helpers
from hypothesis import given, settings
from hypothesis import strategies as st
from qr_service.config import Settings
from qr_service.edge.request import parse
from stdnum import ean, iban, iso11649

from tests.support.environment import ENVIRONMENT
from tests.support.parsers import PARSERS, fields_of, meant

COUNT = int(os.environ.get("ROUND_TRIPS", "300"))
SETTINGS = Settings.from_env(ENVIRONMENT)

# No control characters, surrogates, or characters that separate lines.
CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
SPECIAL = st.sampled_from(list(";,:\"\\%&?=#+ '<>/äß€日🎉"))
CHARACTER = CHARACTERS | SPECIAL


def line(most):
    return st.text(CHARACTER, min_size=1, max_size=most)


def lines(most):
    breaks = st.sampled_from(["\n", "\r\n", "\r"])
    return st.lists(CHARACTER | breaks, min_size=1, max_size=most // 2).map("".join)


def text_of(alphabet, least, most):
    return st.text(alphabet, min_size=least, max_size=most)


def optional(**fields):
    """Return objects with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
HEX = string.hexdigits
WPA = text_of(PRINTABLE, 8, 63) | text_of(HEX, 64, 64)
WEP = st.sampled_from([5, 13, 16, 29]).flatmap(lambda n: text_of(PRINTABLE, n, n))
SSID = (line(32) | lines(32)).filter(lambda ssid: len(ssid.encode()) <= 32)
PHONE = st.from_regex(r"\+?[0-9][0-9 ().-]{0,30}", fullmatch=True)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOST = st.tuples(LABEL, st.sampled_from(["com", "co.uk", "museum"])).map(".".join)
EMAIL = st.tuples(
    text_of(string.ascii_letters + string.digits + ".!#$%&'*+/=?^_`{|}~-", 1, 20), HOST
).map("@".join)
URL = st.tuples(HOST, st.from_regex(r"[a-z0-9/?&=%2-]{0,30}", fullmatch=True)).map(
    lambda parts: f"https://{parts[0]}/{parts[1].replace('%', '%25')}"
)
MOMENT = st.integers(-(2**31), 2**34).map(
    lambda second: datetime.fromtimestamp(second, UTC).isoformat()
)
ALPHANUMERIC = string.ascii_uppercase + string.digits


@st.composite
def an_iban(draw):
    """Return an account of Germany or Belgium, whose check digits stdnum computes."""
    country, length = draw(st.sampled_from([("DE", 18), ("AT", 16)]))
    account = draw(text_of(string.digits, length, length))
    return country + iban.calc_check_digits(f"{country}00{account}") + account


@st.composite
def a_reference(draw):
    """Return a creditor reference with the check digits that stdnum finds right."""
    body = draw(text_of(ALPHANUMERIC, 1, 21))
    digits = next(n for n in range(2, 99) if iso11649.is_valid(f"RF{n:02}{body}"))
    return draw(st.sampled_from([str, iso11649.format]))(f"RF{digits:02}{body}")


@st.composite
def a_gtin(draw):
    length = draw(st.sampled_from([8, 12, 13, 14]))
    body = draw(text_of(string.digits, length - 1, length - 1))
    return body + ean.calc_check_digit(body.zfill(13)[-13:] if length == 14 else body)


GS1 = text_of("!\"%&'()*+,-./:;<=>?_" + string.ascii_letters + string.digits, 1, 20)
AMOUNT = st.integers(1, 99_999_999_999).map(lambda cents: cents / 100)


def merged(*parts):
    return st.tuples(*parts).map(
        lambda each: {k: v for d in each for k, v in d.items()}
    )


def required(**fields):
    return st.fixed_dictionaries(fields)


CONTENTS = {
    "wifi": merged(
        required(ssid=SSID),
        optional(hidden=st.booleans()),
        required(password=WPA)
        | required(password=WEP, security=st.just("WEP"))
        | required(security=st.just("none")),
    ),
    "vcard": merged(
        required(name=line(100)),
        optional(
            organization=line(100),
            title=line(100),
            phone=PHONE,
            email=EMAIL,
            url=URL,
            address=lines(200),
            note=lines(500),
        ),
    ),
    "event": merged(
        required(title=line(200)),
        st.lists(MOMENT, min_size=1, max_size=2).map(
            lambda moments: dict(zip(("start", "end"), sorted(moments), strict=False))
        ),
        optional(location=line(200), description=lines(1000)),
    ),
    "email": merged(required(to=EMAIL), optional(subject=line(200), body=lines(400))),
    "sms": merged(required(number=PHONE), optional(message=lines(300))),
    "tel": required(number=PHONE),
    "geo": required(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180)),
    "epc": merged(
        required(name=line(50), iban=an_iban()),
        optional(
            bic=st.just("BPOTBEB1XXX") | st.just("COBADEFF"),
            amount=AMOUNT,
            purpose=text_of(ALPHANUMERIC, 1, 4),
        ),
        optional(reference=a_reference()) | optional(text=line(30)),
    ),
    "gs1_link": merged(
        required(gtin=a_gtin()),
        optional(
            lot=GS1,
            serial=GS1,
            expiry=st.dates(date(2000, 1, 1), date(2049, 12, 31)).map(date.isoformat),
            domain=HOST,
        ),
    ),
}


def written(content):
    """Return the text that a request with this content has."""
    return parse(json.dumps({"content": content}).encode(), SETTINGS).data


def test_every_type_is_tried():
    assert {*CONTENTS} == {*PARSERS}


@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_written_is_read(kind):
    @settings(max_examples=COUNT, deadline=None)
    @given(CONTENTS[kind])
    def tried(content):
        content = {"type": kind, **content}
        found = fields_of(kind, written(content))
        assert meant(found) == meant(content)

    tried()


def test_segno_writes_the_same():
    """Where it writes the same type; it leaves a comma of Wi-Fi as it is."""

    @settings(max_examples=COUNT, deadline=None)
    @given(CONTENTS["geo"])
    def geo(content):
        ours = written({"type": "geo", **content})
        latitude, longitude = map(float, ours.removeprefix("geo:").split(","))
        theirs = segno.helpers.make_geo_data(latitude, longitude)
        assert list(map(float, theirs.removeprefix("geo:").split(","))) == [
            latitude,
            longitude,
        ]

    @settings(max_examples=COUNT, deadline=None)
    @given(CONTENTS["wifi"])
    def wifi(content):
        kind = content.get("security", "WPA")
        theirs = segno.helpers.make_wifi_data(
            content["ssid"],
            content.get("password"),
            "nopass" if kind == "none" else kind,
        )
        content.pop("hidden", None)  # after which segno leaves out the last semicolon
        ours = written({"type": "wifi", **content})
        assert fields_of("wifi", ours) == fields_of("wifi", theirs)

    geo()
    wifi()
