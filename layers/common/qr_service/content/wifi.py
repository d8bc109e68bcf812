"""Wi-Fi networks, in the format of the ZXing project, which iOS and Android read."""

import re

from qr_service.errors import BadField, BadRequest

MAX_SSID = 32  # bytes of UTF-8 (IEEE 802.11, 9.4.2.2)
# A passphrase of printable ASCII, or a key in hexadecimal digits (IEEE 802.11, J.4;
# of WEP 64, 128, 152 and 256 bits, 24 of which are not the key's).
_WPA = re.compile(r"[ -~]{8,63}|[0-9A-Fa-f]{64}")
_WEP = re.compile(
    "|".join(f"[ -~]{{{n}}}|[0-9A-Fa-f]{{{2 * n}}}" for n in (5, 13, 16, 29))
)
_PASSWORDS = {
    "WPA": (_WPA, "8..63 printable ASCII characters, or 64 hexadecimal digits"),
    "WEP": (_WEP, "5, 13, 16 or 29 characters, or twice as many hexadecimal digits"),
}
_SPECIAL = re.compile(r'([\\;,:"])')


def wifi(ssid: str, password: str | None, security: str, hidden: bool) -> str:
    """Return `WIFI:T:WPA;S:network;P:password;;`; WPA stands for all its versions."""
    if len(ssid.encode()) > MAX_SSID:
        raise BadField("content.ssid", ssid, f"1..{MAX_SSID} bytes of UTF-8")
    return (
        f"WIFI:T:{'nopass' if security == 'none' else security};S:{_escaped(ssid)};"
        f"{_secret(password, security)}{'H:true;' if hidden else ''};"
    )


def _secret(password: str | None, security: str) -> str:
    """Return the part with the password, checked; "" without security."""
    if security == "none":
        if password is not None:
            raise BadField("content.password", password, "absent if security is none")
        return ""
    pattern, allowed = _PASSWORDS[security]
    if password is None:
        raise BadRequest(
            "missing_field",
            "content.password is required unless security is none.",
            field="content.password",
            allowed=allowed,
        )
    if not pattern.fullmatch(password):
        raise BadField("content.password", password, allowed)
    return f"P:{_escaped(password)};"


def _escaped(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", value)
