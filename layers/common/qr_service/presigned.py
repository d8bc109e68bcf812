"""Presigned URLs of images, signed locally: without a call, and without boto3."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from qr_service.codes import Code
from qr_service.config import Settings
from qr_service.sigv4 import Credentials, presign


@dataclass(frozen=True, slots=True)
class PresignedUrls:
    """Signs GET URLs for the bucket of the settings."""

    settings: Settings

    def sign(self, code: Code, now: datetime) -> tuple[str, datetime]:
        """A URL and the moment at which it dies, never later than the code.

        `code` has not expired at `now`.
        """
        start = now.replace(microsecond=0)
        life = int((code.expires_at - start).total_seconds())
        seconds = min(self.settings.url_ttl_seconds, life)
        scheme, host, path = self._address(code.object_key)
        name = code.object_key.rpartition("/")[2]
        signed = presign(
            host,
            path,
            {
                "response-cache-control": f"private, max-age={seconds}, immutable",
                "response-content-disposition": f'inline; filename="{name}"',
                "response-content-type": code.content_type,
            },
            service="s3",
            region=self.settings.aws_region,
            credentials=Credentials.from_env(os.environ),
            now=start,
            expires=seconds,
        )
        return f"{scheme}://{signed}", start + timedelta(seconds=seconds)

    def _address(self, key: str) -> tuple[str, str, str]:
        """Scheme, host and path of an object; path style at a local endpoint."""
        bucket = self.settings.qr_bucket
        if self.settings.s3_endpoint_url:
            endpoint = urlsplit(self.settings.s3_endpoint_url)
            return endpoint.scheme, endpoint.netloc, f"/{bucket}/{key}"
        host = f"{bucket}.s3.{self.settings.aws_region}.amazonaws.com"
        return "https", host, f"/{key}"
