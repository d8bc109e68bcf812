"""Texts that people really encode, with random parts."""

import random
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase, digits


def payloads(seed: int, count: int) -> list[str]:
    """Return that many texts, of all kinds in turn; equal seeds give equal texts."""
    make = _Maker(random.Random(seed))  # noqa: S311  texts, no secrets
    kinds: list[Callable[[], str]] = [
        getattr(make, name) for name in sorted(dir(make)) if not name.startswith("_")
    ]
    return [kinds[number % len(kinds)]() for number in range(count)]


class _Maker:
    """A method for each kind of text."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def _some(self, characters: str, least: int, most: int = 0) -> str:
        length = self._rng.randint(least, most or least)
        return "".join(self._rng.choices(characters, k=length))

    def _name(self, words: int) -> str:
        return " ".join(
            self._some(ascii_lowercase, 3, 9).capitalize() for _ in range(words)
        )

    def _host(self) -> str:
        end = self._rng.choice([".com", ".io", ".de", ".com.br", ".example"])
        return self._some(ascii_lowercase, 3, 14) + end

    def _hex(self, length: int) -> str:
        return self._some(f"{digits}abcdef", length)

    def _uuid(self) -> str:
        parts = (self._hex(length) for length in (8, 4, 4, 4, 12))
        return "-".join(parts)

    def url_with_a_number(self) -> str:
        path = self._some(ascii_lowercase, 2, 8)
        return f"https://{self._host()}/{path}/{self._some(digits, 8, 16)}"

    def url_with_parameters(self) -> str:
        query = (
            f"id={self._some(digits, 6, 18)}&ref={self._some(ascii_lowercase, 3, 8)}"
        )
        return f"https://{self._host()}/?{query}"

    def url_with_an_id(self) -> str:
        return f"https://{self._host()}/t/{self._uuid()}"

    def short_url(self) -> str:
        return f"https://{self._host()}/{self._some(ascii_lowercase + digits, 5, 9)}"

    def url_in_capitals(self) -> str:
        code = self._some(ascii_uppercase + digits, 4, 12)
        return f"HTTPS://{self._host().upper()}/{code}"

    def gs1_link(self) -> str:
        lot = self._some(ascii_uppercase + digits, 4, 10)
        serial = self._some(digits, 6, 18)
        return f"https://id.gs1.org/01/0{self._some(digits, 13)}/10/{lot}/21/{serial}"

    def gs1_elements(self) -> str:
        date = self._some(digits, 6)
        return f"(01)0{self._some(digits, 13)}(17){date}(21){self._some(digits, 6, 16)}"

    def payment_upi(self) -> str:
        payee = f"{self._some(ascii_lowercase, 5, 12)}@bank"
        order = self._some(digits, 10, 16)
        return f"upi://pay?pa={payee}&pn={self._name(1)}&tr=ORD{order}&am=99.00&cu=INR"

    def payment_pix(self) -> str:
        start = f"00020126580014br.gov.bcb.pix0136{self._uuid()}5204000053039865406"
        amount = f"{self._some(digits, 3)}.{self._some(digits, 2)}"
        return f"{start}{amount}5802BR6008BRASILIA62070503***6304{self._hex(4).upper()}"

    def payment_epc(self) -> str:
        iban = f"DE{self._some(digits, 20)}"
        amount = f"EUR{self._some('123456789', 2, 4)}.{self._some(digits, 2)}"
        return f"BCD\n002\n1\nSCT\n\n{self._name(2)}\n{iban}\n{amount}\n\n\nInvoice\n"

    def receipt(self) -> str:
        numbers = f"fn={self._some(digits, 16)}&i={self._some(digits, 3, 7)}"
        return f"t=20260101T1200&s=123.45&{numbers}&fp={self._some(digits, 10)}&n=1"

    def one_time_password(self) -> str:
        secret = self._some(f"{ascii_uppercase}234567", 16, 32)
        user = f"{self._some(ascii_lowercase, 3, 8)}@{self._host()}"
        return f"otpauth://totp/Shop:{user}?secret={secret}&issuer=Shop"

    def contact(self) -> str:
        phone = f"+49{self._some(digits, 10)}"
        lines = (
            "BEGIN:VCARD\nVERSION:3.0",
            f"N:{self._name(1)};{self._name(1)}",
            f"TEL:{phone}\nEMAIL:{self._some(ascii_lowercase, 3, 8)}@{self._host()}",
            "END:VCARD",
        )
        return "\n".join(lines)

    def wifi(self) -> str:
        password = self._some(ascii_lowercase + ascii_uppercase + digits, 8, 20)
        return f"WIFI:T:WPA;S:{self._name(1)}-{self._some(digits, 4)};P:{password};;"

    def health_certificate(self) -> str:
        characters = f"{digits}{ascii_uppercase} $%*+-./:"
        return f"HC1:{self._some(characters, 380, 640)}"

    def health_card(self) -> str:
        return f"shc:/{self._some(digits, 900, 1200)}"

    def ticket(self) -> str:
        seat = self._some(ascii_uppercase, 1) + self._some(digits, 2)
        number = self._some(digits, 8, 16)
        return f'{{"event":"{self._some(digits, 6)}","seat":"{seat}","id":"{number}"}}'

    def boarding_pass(self) -> str:
        flight = f"{self._some(digits, 4)} {self._some(digits, 3)}Y012A0042 100"
        return f"M1{self._name(1).upper():18}E{self._hex(6).upper()} FRAZRHLH {flight}"

    def label(self) -> str:
        number = self._some(digits, 13)
        return (
            f"LOC-{self._some(digits, 2)}-{self._some(digits, 4)};SKU:{number};QTY:12"
        )

    def number(self) -> str:
        return self._some(digits, 18, 60)

    def serial(self) -> str:
        return f"{self._some(ascii_uppercase, 4)}-{self._some(digits, 8, 15)}"
