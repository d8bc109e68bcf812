"""CloudFormation's custom resources: whatever becomes of the work, the stack is told.

A stack that is not told waits for an hour, and its rollback for another, so that a
failure is answered like a success. Source: "Custom resource request objects" and
"Custom resource response objects" (AWS CloudFormation user guide).
"""

import json
import ssl
import time
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

from aws_lambda_powertools.utilities.typing import LambdaContext

from qr_service.edge.events import Handler, InvocationFailed
from qr_service.telemetry import describe, logger

# Seconds at the end of the function's time that the answer may need, pauses included.
SPARE_SECONDS = 30
_TIMEOUT = 5.0  # seconds, of one try
_PAUSES = (1, 3)  # seconds, between the tries
_LONGEST_REASON = 500  # characters; the whole answer has to stay below 4,096 bytes


def answers_cloudformation(handler: Handler, physical_id: str) -> Handler:
    """The handler, which now answers the requests of CloudFormation as well.

    `physical_id` never changes: another one would mean another resource, and a Delete
    of this. A failure that the stack was told of is returned, not raised, since Lambda
    would try again what is being rolled back. Only an answer that reached nobody is
    raised, as InvocationFailed.
    """

    def answered(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        if "ResponseURL" not in event:
            return handler(event, context)
        try:
            result, failure = handler(event, context), None
        except Exception as error:  # noqa: BLE001  whatever it is, a stack waits
            safe = isinstance(error, InvocationFailed)
            failure = str(error) if safe else type(error).__name__
            result = {"failed": failure}
        _put(event["ResponseURL"], _answer(event, physical_id, failure))
        return result

    return answered


def _answer(event: dict[str, Any], physical_id: str, failure: str | None) -> bytes:
    answer = {
        "Status": "SUCCESS" if failure is None else "FAILED",
        # Of a Create that nobody answered, the resource has a name of CloudFormation's.
        "PhysicalResourceId": event.get("PhysicalResourceId", physical_id),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    if failure is not None:
        answer["Reason"] = failure[:_LONGEST_REASON]
    return json.dumps(answer, ensure_ascii=False).encode()


def _put(url: str, answer: bytes) -> None:
    """Raises InvocationFailed; the URL is signed, so that it stands in no log."""
    # An empty type is what was signed. S310: the URL comes from CloudFormation.
    request = Request(url, answer, {"Content-Type": ""}, method="PUT")  # noqa: S310
    trust = ssl.create_default_context()  # the system's
    for pause in (*_PAUSES, None):
        try:
            with urlopen(request, timeout=_TIMEOUT, context=trust):  # noqa: S310
                return
        except (OSError, HTTPException) as error:  # HTTPError is an OSError
            reason = str(getattr(error, "reason", ""))  # without the URL
            logger.warning(
                "CloudFormation was not told", **describe(error), reason=reason
            )
            if pause:
                time.sleep(pause)
    raise InvocationFailed("CloudFormation could not be told what became of this")
