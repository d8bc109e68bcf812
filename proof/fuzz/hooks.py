"""What schemathesis does not send, and why."""

import json
from pathlib import Path

import schemathesis

EVENT = Path(__file__).parents[2] / "events" / "generate" / "logo.json"
LOGO = json.loads(json.loads(EVENT.read_text())["body"])["logo"]
LEAST_SIZE = 4  # pixels of a module that is not square, in a PNG
# Pixels of a module with which each version fits into 4,096; bytes that fit with any.
ANY_VERSION, SHORT = 18, 50
MOST_HOURS = 8760  # of a life in this stack; the document has those of any stack


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Return whether to send a request.

    SAM cannot pass on a body that is not UTF-8: 502. The tests of the handlers send
    such bodies. 400 is right for a cursor that the service has not given, for a life
    that is too long for this stack, for a logo that is no picture, for modules that are
    too small for their shape or too large for the image, for a first day after the last
    one, and for an If-Match without quotes, which schemathesis takes off an ETag.
    """
    body = case.body
    if isinstance(body, bytes):
        try:
            body.decode()
        except UnicodeDecodeError:
            return False
    if isinstance(body, dict):
        hours = body.get("expiration_hours")
        if isinstance(hours, int | float) and hours > MOST_HOURS:
            return False
        if body.get("logo", LOGO) != LOGO or not _fits(body):
            return False
    bare = str((case.headers or {}).get("If-Match", "")).isdigit()
    query = case.query or {}
    first, last = (str(query.get(name, "")) for name in ("from", "to"))
    return not bare and "cursor" not in query and not first > last > ""


def _fits(body: dict[str, object]) -> bool:
    """Return whether a module has a size that its shape and the image allow.

    The document says both in words: the least size of a shape depends on the format,
    the largest one on the version.
    """
    size = body.get("module_size", 10)
    if not isinstance(size, int | float):
        return True
    if size < LEAST_SIZE and body.get("shape", "square") != "square":
        return body.get("format", "png") != "png"
    text = body.get("data")
    is_short = not isinstance(text, str) or len(text.encode(errors="replace")) <= SHORT
    return size <= ANY_VERSION or is_short
