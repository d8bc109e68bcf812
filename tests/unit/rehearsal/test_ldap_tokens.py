"""The LDAP directory that checks tokens for PostgreSQL."""

import io

import pytest

from rehearsal import ldap_tokens

TOKEN = "127.0.0.1:5432/?Action=connect&" + "x" * 1200


def bind(user, password, number=1, kind=0x80):
    """Return a bind request as libldap writes it; RFC 4511, 4.2."""
    name = f"uid={user}".encode()
    request = (
        element(0x02, b"\x03") + element(0x04, name) + element(kind, password.encode())
    )
    return element(0x30, element(0x02, bytes([number])) + element(0x60, request))


def element(tag, content):
    """Return BER with its length in the long form, in four octets, as libldap does."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def verdict_of(checked, refusal=""):
    def verdict(user, token):
        checked.append((user, token))
        return refusal

    return verdict


def code_of(reply):
    """Return the result code of a bind response with short lengths."""
    assert reply[:2] == bytes([0x30, len(reply) - 2])
    assert reply[5] == 0x61
    assert reply[7:9] == b"\x0a\x01"
    return reply[9]


def test_user_and_token_are_checked_and_accepted():
    checked = []
    reply = ldap_tokens.answer(bind("qr_app", TOKEN, number=7), verdict_of(checked))
    assert checked == [("qr_app", TOKEN)]
    assert code_of(reply) == 0
    assert reply[2:5] == b"\x02\x01\x07"  # the request's number


def test_a_refused_token_returns_invalid_credentials_with_the_reason():
    reply = ldap_tokens.answer(bind("qr_app", TOKEN), verdict_of([], "ExpiredToken"))
    assert code_of(reply) == ldap_tokens.INVALID_CREDENTIALS
    assert reply.endswith(b"\x04\x0cExpiredToken")


def test_a_long_reason_has_its_length_in_the_long_form():
    reply = ldap_tokens.answer(bind("qr_app", TOKEN), verdict_of([], "r" * 300))
    assert reply.endswith(b"\x04\x82\x01\x2c" + b"r" * 300)


def test_an_empty_token_is_refused_without_a_check():
    checked = []
    reply = ldap_tokens.answer(bind("qr_app", ""), verdict_of(checked))
    assert code_of(reply) == ldap_tokens.INVALID_CREDENTIALS
    assert checked == []


@pytest.mark.parametrize(
    "message",
    [
        element(0x30, element(0x02, b"\x02") + element(0x42, b"")),  # unbind
        element(0x30, element(0x02, b"\x01") + element(0x63, b"")),  # search
        bind("qr_app", TOKEN, kind=0xA3),  # SASL
    ],
)
def test_any_other_message_ends_the_connection(message):
    checked = []
    assert ldap_tokens.answer(message, verdict_of(checked)) is None
    assert checked == []


@pytest.mark.parametrize("content", [b"", b"x" * 127, b"x" * 128, b"x" * 70_000])
def test_messages_are_read_one_by_one(content):
    long, short = element(0x30, content), b"\x30\x01z"
    stream = io.BytesIO(long + short)
    assert ldap_tokens._read(stream.read) == long
    assert ldap_tokens._read(stream.read) == short
    assert ldap_tokens._read(stream.read) == b""
