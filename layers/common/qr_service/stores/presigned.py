"""Presigned URLs of objects, signed locally, without a network call or boto3."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit

from qr_service.codes import Code
from qr_service.config import Settings
from qr_service.stores.sigv4 import Credentials, presign

MAX_STEADY = 300  # seconds for which the URL of a code stays the same


@dataclass(frozen=True, slots=True)
class PresignedUrls:
    """A signer of URLs for the bucket in the settings."""

    settings: Settings

    def of_image(
        self, code: Code, now: datetime, method: str = "GET"
    ) -> tuple[str, datetime]:
        """Return a URL and when it expires, which is never later than the code.

        Signed with the same credentials, it stays the same for a third of its life, at
        most MAX_STEADY, so a browser finds the image in its cache, where the image
        expires with the URL. The file name is stored with the object. `code` must not
        have expired at `now`.
        """
        left = int((code.expires_at - now.replace(microsecond=0)).total_seconds())
        steady = max(1, min(MAX_STEADY, min(self.settings.url_ttl_seconds, left) // 3))
        start = datetime.fromtimestamp(int(now.timestamp()) // steady * steady, UTC)
        life = int((code.expires_at - start).total_seconds())
        seconds = min(self.settings.url_ttl_seconds, life)
        expires_at = start + timedelta(seconds=seconds)
        answer = {
            "response-cache-control": "private, immutable",
            "response-content-type": code.content_type,
            # Not max-age, which would count from the download.
            "response-expires": format_datetime(expires_at, usegmt=True),
        }
        url = self.sign(method, code.object_key, start, seconds, answer)
        return url, expires_at

    def sign(
        self,
        method: str,
        key: str,
        now: datetime,
        seconds: int,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Return the URL of a request for an object, valid for `seconds` from `now`."""
        scheme, host, path = self._address(key)
        signed = presign(
            method,
            host,
            path,
            parameters or {},
            service="s3",
            region=self.settings.aws_region,
            credentials=Credentials.from_env(os.environ),
            now=now,
            expires=seconds,
        )
        return f"{scheme}://{signed}"

    def _address(self, key: str) -> tuple[str, str, str]:
        """Return scheme, host and path of an object; path style at a local endpoint."""
        bucket = self.settings.qr_bucket
        if self.settings.s3_endpoint_url:
            endpoint = urlsplit(self.settings.s3_endpoint_url)
            return endpoint.scheme, endpoint.netloc, f"/{bucket}/{key}"
        host = f"{bucket}.s3.{self.settings.aws_region}.amazonaws.com"
        return "https", host, f"/{key}"
