"""What schemathesis does not send, and why."""

import json
from pathlib import Path

import schemathesis
from qr_service.config import Settings
from qr_service.edge.request import SIZES, parse
from qr_service.errors import BadRequest, QRError
from qr_service.proving import prove
from schemathesis import GenerationMode

from tests.support.environment import ENVIRONMENT

EVENT = Path(__file__).parents[2] / "events" / "generate" / "logo.json"
LOGO = json.loads(json.loads(EVENT.read_text())["body"])["logo"]
SETTINGS = Settings.from_env(ENVIRONMENT)
SHORT_URL = "https://qr.example.com/s/00000000"
MOST_HOURS = 8760  # of a life in this stack; the document has those of any stack


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Return whether to send a request.

    SAM cannot pass on a body that is not UTF-8: 502. The tests of the handlers send
    such bodies. 400 is right for a cursor that the service has not given, for a life
    that is too long for this stack, for a logo that is no picture, for modules that are
    too small or too large, for what a content demands beyond the form of its fields,
    for a first day after the last one, and for an If-Match without quotes, which
    schemathesis takes off an ETag.
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
        if body.get("logo", LOGO) != LOGO:
            return False
        mode = case.meta and case.meta.generation.mode
        if mode != GenerationMode.NEGATIVE and not _fits(body):
            return False
    bare = str((case.headers or {}).get("If-Match", "")).isdigit()
    query = case.query or {}
    first, last = (str(query.get(name, "")) for name in ("from", "to"))
    return not bare and "cursor" not in query and not first > last > ""


def _fits(body: dict[str, object]) -> bool:
    """Return whether the service finds nothing wrong that the document says in words.

    That is a size, which depends on the data, or a member of the content that has the
    form of its field, but a wrong check digit.
    """
    try:
        request = parse(json.dumps(body).encode(), SETTINGS)
        prove(request, SHORT_URL if request.dynamic else None)
    except BadRequest as error:
        field = str(error.fields.get("field"))
        return field not in (*SIZES, "dpi") and not field.startswith("content.")
    except (QRError, ValueError):  # such as a text that fits no version
        return True
    return True
