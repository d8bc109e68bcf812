"""What a telephone does with a URI: write, call, show a place, look up an article."""

import re
from datetime import date
from urllib.parse import quote

_DECIMALS = 7  # of a degree: a centimetre


def email(to: str, subject: str | None, body: str | None) -> str:
    """Return a mailto URI (RFC 6068); line breaks are CRLF there."""
    lines = re.sub(r"\r\n?|\n", "\r\n", body) if body else None
    return f"mailto:{quote(to, safe='@')}" + _query(subject=subject, body=lines)


def sms(number: str, message: str | None) -> str:
    """Return an sms URI (RFC 5724)."""
    return f"sms:{number}" + _query(body=message)


def tel(number: str) -> str:
    """Return a tel URI (RFC 3966)."""
    return f"tel:{number}"


def geo(latitude: float, longitude: float) -> str:
    """Return a geo URI (RFC 5870), in degrees of WGS 84."""
    return f"geo:{_decimal(latitude)},{_decimal(longitude)}"


def gs1_link(
    gtin: str, lot: str | None, serial: str | None, expiry: date | None, domain: str
) -> str:
    """Return a GS1 Digital Link URI (1.6): key, qualifiers in their order, attributes.

    A GTIN has 14 digits there, with zeros in front. A date has two digits of its year.
    """
    path = f"https://{domain.lower()}/01/{gtin:0>14}"
    for identifier, value in (("10", lot), ("21", serial)):
        if value:
            path += f"/{identifier}/{quote(value, safe='')}"
    return path + (f"?17={expiry:%y%m%d}" if expiry else "")


def check_gtin(digits: str) -> str:
    """Return a GTIN; ValueError if its check digit is wrong (GS1, 7.9.1)."""
    total = sum(
        int(digit) * (3 if place % 2 else 1)
        for place, digit in enumerate(reversed(digits))
    )
    if total % 10:
        raise ValueError("a wrong check digit")
    return digits


def _query(**parameters: str | None) -> str:
    given = [f"{k}={quote(v, safe='')}" for k, v in parameters.items() if v]
    return f"?{'&'.join(given)}" if given else ""


def _decimal(degrees: float) -> str:
    text = f"{degrees:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
