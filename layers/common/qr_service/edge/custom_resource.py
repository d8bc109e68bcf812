"""CloudFormation's custom resources: an answer to the stack on success and on failure.

Without an answer a stack waits for an hour, and its rollback for another hour. Source:
"Custom resource request objects" and "Custom resource response objects" (AWS
CloudFormation user guide).
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

# Seconds reserved at the end of the function's time for the answer and its pauses.
SPARE_SECONDS = 30
_TIMEOUT = 5.0  # seconds, for one try
_PAUSES = (1, 3)  # seconds, between the tries
_LONGEST_REASON = 500  # characters; the whole answer must stay below 4,096 bytes


def answers_cloudformation(handler: Handler, physical_id: str) -> Handler:
    """Return the handler, extended to answer the requests of CloudFormation as well.

    `physical_id` never changes: for CloudFormation another id is a new resource, and it
    deletes the old one. A failure that was reported to the stack is returned, not
    raised, because Lambda would retry what is being rolled back. Only an answer that
    could not be sent raises InvocationFailed.
    """

    def answered(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        if "ResponseURL" not in event:
            return handler(event, context)
        try:
            result, failure = handler(event, context), None
        except Exception as error:  # noqa: BLE001  any error: a stack is waiting
            safe = isinstance(error, InvocationFailed)
            failure = str(error) if safe else type(error).__name__
            result = {"failed": failure}
        _put(event["ResponseURL"], _answer(event, physical_id, failure))
        return result

    return answered


def _answer(event: dict[str, Any], physical_id: str, failure: str | None) -> bytes:
    answer = {
        "Status": "SUCCESS" if failure is None else "FAILED",
        # After a Create without an answer, CloudFormation has chosen an id itself.
        "PhysicalResourceId": event.get("PhysicalResourceId", physical_id),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    if failure is not None:
        answer["Reason"] = failure[:_LONGEST_REASON]
    return json.dumps(answer, ensure_ascii=False).encode()


def _put(url: str, answer: bytes) -> None:
    """Send the answer, or raise InvocationFailed; the signed URL is never logged."""
    # The URL is signed for an empty type. S310: it comes from CloudFormation.
    request = Request(url, answer, {"Content-Type": ""}, method="PUT")  # noqa: S310
    trust = ssl.create_default_context()  # the system's certificates
    for pause in (*_PAUSES, None):
        try:
            with urlopen(request, timeout=_TIMEOUT, context=trust):  # noqa: S310
                return
        except (OSError, HTTPException) as error:  # HTTPError is an OSError
            reason = str(getattr(error, "reason", ""))  # without the URL
            logger.warning(
                "result not sent to CloudFormation", **describe(error), reason=reason
            )
            if pause:
                time.sleep(pause)
    raise InvocationFailed("the result could not be sent to CloudFormation")
