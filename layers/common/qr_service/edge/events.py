"""Functions that a schedule or an operator invokes.

A failure raises an error, so Lambda counts it, retries and keeps dead letters. The
error describes what went wrong without user data.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from qr_service.telemetry import describe, frames, logger, metrics

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class InvocationFailed(Exception):
    """A failure of the function; the message is safe to log."""


def entrypoint(work: Handler) -> Handler:
    """Return the Lambda handler of a function that serves no HTTP requests."""

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:
            result = work(event, context)
        except Exception as error:  # noqa: BLE001  all are reported the same way
            description = describe(error)
            logger.error("failed", **description, trace=frames(error))
            metrics.add_metric("Failures", unit="Count", value=1)
            raise InvocationFailed(
                ", ".join(f"{key}: {value}" for key, value in description.items())
            ) from None
        metrics.add_metric("Failures", unit="Count", value=0)
        logger.info("done", **result)
        return result

    return handler
