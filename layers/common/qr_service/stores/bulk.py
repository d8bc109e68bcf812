"""S3 in bulk: a thousand objects per request, listed or deleted, through boto3."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
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


@dataclass(frozen=True, slots=True)
class Page:
    """Up to a thousand objects in the order of their keys, and when each was stored.

    `now` is S3's clock, by which the age of an object does not depend on our own.
    """

    stored_at: Mapping[str, datetime]
    now: datetime
    is_last: bool


class BulkStorage:
    """The bucket, for the cleanup."""

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

    def page(self, prefix: str, after: str) -> Page:
        """Return the objects whose key has this prefix and comes after `after`.

        Raises StorageUnavailable.
        """
        try:
            answer = self._client.list_objects_v2(
                Bucket=self._settings.qr_bucket, Prefix=prefix, StartAfter=after
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("objects not listed", **describe(error))
            raise StorageUnavailable from None
        return Page(
            {
                found["Key"]: found["LastModified"]
                for found in answer.get("Contents", [])
            },
            parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]),
            not answer["IsTruncated"],
        )

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
