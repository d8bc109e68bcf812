"""Logger and metrics, and what may be written of an error.

Exceptions of drivers quote statements, URLs and values, so that their text is never
logged: the class, the SQLSTATE or S3 code, and the frames of the trace are.
"""

import traceback
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

from qr_service.config import ConfigurationError
from qr_service.errors import QRError

logger = Logger()
metrics = Metrics()


class SafeError(Exception):
    """An error whose text is our own, without payload, and may be told."""


def describe(error: BaseException) -> dict[str, Any]:
    """Log keys that tell an error without its payload."""
    keys: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, QRError):
        keys["code"] = error.code
    if isinstance(error, ConfigurationError | SafeError):
        keys["reason"] = str(error)
    sqlstate = getattr(error, "pgcode", None)  # psycopg2.Error
    if sqlstate:
        keys["sqlstate"] = sqlstate
    response = getattr(error, "response", None)  # botocore's ClientError
    if isinstance(response, dict):
        keys["aws_error"] = response.get("Error", {}).get("Code")
    return keys


def frames(error: BaseException) -> list[str]:
    """The trace of an error, outermost first: file, line and function of each frame."""
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
