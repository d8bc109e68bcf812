"""The other edge: functions that a schedule or an operator invokes.

They fail by raising, so that Lambda counts the error, retries and keeps dead letters;
what they raise says what went wrong without a payload.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from qr_service.telemetry import describe, frames, logger, metrics

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class InvocationFailed(Exception):
    """The function could not do its work; the message is safe to be logged."""


def entrypoint(work: Handler) -> Handler:
    """The Lambda handler of a function that answers no request."""

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:
            result = work(event, context)
        except Exception as error:  # noqa: BLE001  every failure is told one way
            told = describe(error)
            logger.error("failed", **told, trace=frames(error))
            metrics.add_metric("Failures", unit="Count", value=1)
            raise InvocationFailed(
                ", ".join(f"{key}: {value}" for key, value in told.items())
            ) from None
        metrics.add_metric("Failures", unit="Count", value=0)
        logger.info("done", **result)
        return result

    return handler
