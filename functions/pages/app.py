"""GET of the studio at /, of /docs and /openapi.json.

The three documents are beside this file; `make docs` writes them. Neither layers nor
the network of the other functions are needed, so nothing here can reach a database.
"""

import base64
import json
import re
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER = Path(__file__).parent
CACHED = "public, max-age=300"
ALWAYS = {
    "Access-Control-Allow-Origin": "*",  # nothing here is anybody's own
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """Return the document of the route, or 304 if the client has it already."""
    prefix = _prefix(event)
    text, headers = DOCUMENTS[event["resource"]]
    text = text.replace(BASE, _origin(event) + prefix)
    tag = f'"{sha256(text.encode()).hexdigest()[:32]}"'
    headers = {**headers, "Cache-Control": CACHED, "ETag": tag}
    if _has(event, tag):
        return _respond(HTTPStatus.NOT_MODIFIED, headers)
    return _respond(HTTPStatus.OK, headers, text)


def policy(page: str) -> str:
    """Return the Content-Security-Policy that admits a page's own style and script."""
    admitted = {
        kind: " ".join(
            f"'sha256-{base64.b64encode(sha256(part.encode()).digest()).decode()}'"
            for part in re.findall(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        )
        for kind in ("style", "script")
    }
    return (
        f"default-src 'none'; style-src {admitted['style']}; "
        f"script-src {admitted['script']}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _prefix(event: dict[str, Any]) -> str:
    """Return the stage, or the base path of a custom domain, such as `/prod`."""
    called = quote(event["requestContext"]["path"], safe="/~")
    return called.removesuffix("/").removesuffix(event["resource"])


def _origin(event: dict[str, Any]) -> str:
    """Return the scheme and host that API Gateway was called by."""
    host = event["requestContext"].get("domainName") or ""
    scheme = _headers(event).get("x-forwarded-proto")
    return (
        f"{'http' if scheme == 'http' else 'https'}://"
        f"{host if _HOST.fullmatch(host) else 'localhost'}"
    )


def _has(event: dict[str, Any], tag: str) -> bool:
    """Return whether If-None-Match names this tag (RFC 9110, section 13.1.2)."""
    tags = _headers(event).get("if-none-match", "").split(",")
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in tags)


def _headers(event: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in (event["headers"] or {}).items()}


def _respond(
    status: HTTPStatus, headers: dict[str, str], body: str = ""
) -> dict[str, Any]:
    return {
        "statusCode": int(status),
        "multiValueHeaders": {
            name: [value] for name, value in {**ALWAYS, **headers}.items()
        },
        "body": body,
    }


def _documents() -> dict[str, tuple[str, dict[str, str]]]:
    """Return text and headers of the documents, by their routes."""
    document = (FOLDER / "openapi.json").read_text(encoding="utf-8")
    return {
        # Its pictures come in answers; it may call the service that it came from.
        "/": _page("studio.html", "; connect-src 'self'; img-src data:"),
        "/docs": _page("docs.html"),
        "/openapi.json": (document, {"Content-Type": "application/json"}),
    }


def _page(name: str, more: str = "") -> tuple[str, dict[str, str]]:
    """Return a page and its headers; `more` are further rules of its policy."""
    page = (FOLDER / name).read_text(encoding="utf-8")
    return page, {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy(page) + more,
    }


DOCUMENTS = _documents()
# What stands in the documents for the API's own address.
BASE: str = json.loads(DOCUMENTS["/openapi.json"][0])["servers"][0]["url"]
