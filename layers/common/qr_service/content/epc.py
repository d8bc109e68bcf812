"""SEPA credit transfers as banks in Europe read them (EPC069-12, version 002)."""

from qr_service.errors import BadField

MAX_BYTES = 331  # of the whole text: what version 13 holds at level M
MAX_VERSION = 13


def epc(
    name: str,
    iban: str,
    bic: str | None,
    amount: float | None,
    reference: str | None,
    text: str | None,
    purpose: str | None,
) -> str:
    """Return one element a line: who gets how much, and what for.

    `amount` is in euros. `reference` is a creditor reference (ISO 11649), `text` free
    text instead of it, `purpose` one of the codes of ISO 20022.
    """
    if reference and text:
        raise BadField("content.text", text, "absent if there is a reference")
    elements = (bic, name, iban, _euros(amount), purpose, reference, text)
    lines = ["BCD", "002", "1", "SCT", *(each or "" for each in elements)]  # 1: UTF-8
    whole = "\n".join(lines).rstrip("\n")
    if len(whole.encode()) > MAX_BYTES:
        raise BadField(
            "content.text" if text else "content.name",
            text or name,
            f"shorter: all elements together have at most {MAX_BYTES} bytes of UTF-8",
        )
    return whole


def _euros(amount: float | None) -> str:
    """Return an amount as EUR12.3: a point, at most two decimals."""
    if amount is None:
        return ""
    cents = round(amount * 100)
    if abs(amount * 100 - cents) > 1e-6 * cents:
        raise BadField("content.amount", amount, "at most two decimals")
    return f"EUR{cents // 100}.{cents % 100:02}".rstrip("0").rstrip(".")


def checked(text: str) -> str:
    """Return an IBAN (ISO 13616) or a creditor reference (ISO 11649) without spaces.

    ValueError if the check digits are wrong (ISO/IEC 7064, MOD 97-10): letters count as
    10 to 35, the first four characters come last, and the number must be 1 modulo 97.
    """
    plain = text.replace(" ", "").upper()
    digits = (str(int(character, 36)) for character in plain[4:] + plain[:4])
    if int("".join(digits)) % 97 != 1:
        raise ValueError("wrong check digits")
    return plain
