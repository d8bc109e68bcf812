"""Logger and metrics, and what may be logged about an error.

Exceptions of drivers quote statements, URLs and values, so their text is never logged.
Their class, their SQLSTATE or S3 code, and the frames of their trace are logged.
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
    """An error whose message holds no user data, so it is safe to log or return."""


def describe(error: BaseException) -> dict[str, Any]:
    """Return log fields that describe an error without user data."""
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
    """Return the trace of an error, outermost frame first: file, line, function."""
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
