"""The pages that somebody who scans a code may see: a preview, the end, an error.

Each is one small document without script; nothing of it comes from another address. All
that is not written here is escaped.
"""

import base64
from datetime import datetime
from hashlib import sha256
from html import escape
from http import HTTPStatus
from urllib.parse import urlsplit

from qr_service.errors import Expired, QRError, timestamp

_STYLE = """
:root{color-scheme:light dark;font:1.125rem/1.5 system-ui,sans-serif}
body{margin:0;color:#1b1b1f;background:#fff}
main{max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 1rem}
a{color:#0b57d0;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#e6e6ea;background:#141418}a{color:#a8c7fa}}
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_ADMITTED = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_ADMITTED}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ERRORS = {
    HTTPStatus.NOT_FOUND: (
        "There is no such code",
        "Please scan it again, or compare the address with the one that is printed.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Please try again",
        "This address cannot be looked up at the moment. It should work in a minute.",
    ),
}
_UNEXPECTED = (
    "Something went wrong",
    "This address could not be looked up. Please try again later.",
)


def of_error(error: QRError) -> str:
    """Return the page that reports an error."""
    if isinstance(error, Expired):
        ended = _moment(timestamp(error.expires_at))
        return _page("This code has ended", f"<p>It ended on {ended}.</p>")
    title, text = _ERRORS.get(HTTPStatus(error.status), _UNEXPECTED)
    return _page(title, f"<p>{text}</p>")


def of_target(target: str, expires_at: datetime, *, is_over: bool) -> str:
    """Return the page that shows where a code leads, and does not go there."""
    url = escape(target)
    host = escape(urlsplit(target).hostname or "")
    moment = _moment(timestamp(expires_at))
    ends = (
        f"It ended on {moment}, and leads there now."
        if is_over
        else (f"It leads there until {moment}, unless its owner changes it.")
    )
    return _page(
        "Where this code leads",
        f"<p>To <strong>{host}</strong>:<br>"
        f'<a href="{url}" rel="nofollow noreferrer">{url}</a></p>\n<p>{ends}</p>',
    )


def _moment(text: str) -> str:
    """Return a moment as people read it, from `2024-01-22T15:30:00Z`."""
    day, _, time = text.partition("T")
    return f'<time datetime="{text}">{day} at {time[:5]} UTC</time>'


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=title, style=_STYLE, body=body)
