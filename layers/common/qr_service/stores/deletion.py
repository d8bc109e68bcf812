"""Bulk deletion from S3: a thousand objects per request, through boto3."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from qr_service.config import Settings
from qr_service.errors import StorageUnavailable
from qr_service.telemetry import describe, logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# Objects in one DeleteObjects request (Amazon S3 API reference).
MAX_DELETE = 1000


class Deletion:
    """The deletion of objects from the bucket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def delete(self, keys: Iterable[str]) -> set[str]:
        """Delete up to MAX_DELETE objects; return the keys that were deleted.

        A key without an object counts as deleted. Raises StorageUnavailable if the
        whole request fails.
        """
        wanted = set(keys)
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in wanted]
        try:
            answer = self._client.delete_objects(
                Bucket=self._settings.qr_bucket,
                Delete={"Objects": objects, "Quiet": True},
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("objects not deleted", **describe(error))
            raise StorageUnavailable from None
        failures = answer.get("Errors", [])
        if failures:
            logger.warning(
                "some objects not deleted",
                count=len(failures),
                aws_error=failures[0].get("Code"),
            )
        return wanted - {failure.get("Key", "") for failure in failures}

    @cached_property
    def _client(self) -> "S3Client":
        local = self._settings.s3_endpoint_url
        return boto3.Session().client(
            "s3",
            region_name=self._settings.aws_region,
            endpoint_url=local or None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if local else "virtual"},
                connect_timeout=1,
                read_timeout=10,
                retries={"total_max_attempts": 2, "mode": "standard"},
            ),
        )
