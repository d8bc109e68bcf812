"""Logins with IAM tokens for a PostgreSQL that does not support them.

RDS checks a token inside the server. A plain PostgreSQL can check a name and a password
with an LDAP directory, by a simple bind. The directory in this module answers only
simple binds, and treats the password as a token. Source: RFC 4511.
"""

import socketserver
from collections.abc import Callable

INVALID_CREDENTIALS = 49
_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x02, 0x04, 0x0A
_BIND_REQUEST, _BIND_RESPONSE, _SIMPLE = 0x60, 0x61, 0x80
_PREFIX = "uid="  # as in pg_hba.conf

# Returns why a user may not log in with a token; an empty string if they may.
Verdict = Callable[[str, str], str]


def answer(message: bytes, verdict: Verdict) -> bytes | None:
    """Return the answer to a simple bind; None (hang up) for any other message."""
    number, operation = _items(_items(message)[0][1])[:2]
    if operation[0] != _BIND_REQUEST:
        return None
    _version, name, password = _items(operation[1])
    if password[0] != _SIMPLE:
        return None
    user = name[1].decode().removeprefix(_PREFIX)
    # An empty password would be an anonymous bind, which always succeeds.
    refusal = verdict(user, password[1].decode()) if password[1] else "no token"
    code = INVALID_CREDENTIALS if refusal else 0
    result = _item(_ENUMERATED, bytes([code])) + _item(_OCTETS, b"")
    result += _item(_OCTETS, refusal.encode())
    return _item(_SEQUENCE, _item(*number) + _item(_BIND_RESPONSE, result))


def serve(host: str, port: int, verdict: Verdict) -> socketserver.ThreadingTCPServer:
    """Return a server that listens; its `serve_forever` answers requests."""

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while message := _read(self.rfile.read):
                reply = answer(message, verdict)
                if reply is None:
                    return
                self.wfile.write(reply)

    class Directory(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    return Directory((host, port), Connection)


def _read(read: Callable[[int], bytes]) -> bytes:
    """Return the next message; b"" at the end of the connection."""
    head = read(2)
    if len(head) == 2 and head[1] & 0x80:
        head += read(head[1] & 0x7F)
    return head + read(_length(head)[0]) if len(head) >= 2 else b""


def _length(head: bytes) -> tuple[int, int]:
    """Return the length of an element's content, and where the content begins."""
    if head[1] < 0x80:
        return head[1], 2
    end = 2 + (head[1] & 0x7F)
    return int.from_bytes(head[2:end], "big"), end


def _items(content: bytes) -> list[tuple[int, bytes]]:
    """Return the tags and contents of consecutive elements."""
    found = []
    while content:
        length, start = _length(content)
        found.append((content[0], content[start : start + length]))
        content = content[start + length :]
    return found


def _item(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
