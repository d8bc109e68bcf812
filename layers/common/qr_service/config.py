"""The environment, read once into frozen settings.

Every variable is required, because a default could hide a mistake. Variables that may
be empty are marked. A missing or malformed variable raises an error that names it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeVar

Choice = TypeVar("Choice", bound=str)

# A host, and a base path at most. The template accepts https only.
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~-]+)*")


class ConfigurationError(Exception):
    """A missing or malformed environment variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a function; the name of a time includes its unit."""

    database_url: str
    database_auth: Literal["password", "iam"]
    redis_host: str
    redis_port: int
    redis_tls: bool
    redis_auth: Literal["none", "iam"]
    redis_username: str
    redis_cache_name: str
    redis_cluster: bool
    ca_bundle: str
    qr_bucket: str
    s3_endpoint_url: str
    aws_region: str
    max_expiration_hours: int
    default_expiration_hours: int
    tombstone_days: int
    grace_days: int
    public_url: str
    url_ttl_seconds: int
    cors_allow_origin: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings; raises ConfigurationError, which names the variable."""
        settings = cls(
            database_url=_text(environ, "DATABASE_URL"),
            database_auth=_choice(environ, "DATABASE_AUTH", ("password", "iam")),
            redis_host=_text(environ, "REDIS_HOST"),
            redis_port=_number(environ, "REDIS_PORT", 1, 65535),
            redis_tls=_flag(environ, "REDIS_TLS"),
            redis_auth=_choice(environ, "REDIS_AUTH", ("none", "iam")),
            redis_username=_text(environ, "REDIS_USERNAME", empty=True),
            redis_cache_name=_text(environ, "REDIS_CACHE_NAME", empty=True),
            redis_cluster=_flag(environ, "REDIS_CLUSTER"),
            ca_bundle=_text(environ, "CA_BUNDLE", empty=True),
            qr_bucket=_text(environ, "QR_BUCKET"),
            s3_endpoint_url=_text(environ, "S3_ENDPOINT_URL", empty=True),
            aws_region=_text(environ, "AWS_REGION"),
            max_expiration_hours=_number(environ, "MAX_EXPIRATION_HOURS", 1, 87600),
            default_expiration_hours=_number(
                environ, "DEFAULT_EXPIRATION_HOURS", 1, 8760
            ),
            tombstone_days=_number(environ, "TOMBSTONE_DAYS", 1, 3650),
            grace_days=_number(environ, "GRACE_DAYS", 1, 3650),
            public_url=_url(environ, "PUBLIC_URL"),
            url_ttl_seconds=_number(environ, "URL_TTL_SECONDS", 1, 900),
            cors_allow_origin=_text(environ, "CORS_ALLOW_ORIGIN"),
        )
        if settings.default_expiration_hours > settings.max_expiration_hours:
            raise ConfigurationError(
                "DEFAULT_EXPIRATION_HOURS is greater than MAX_EXPIRATION_HOURS"
            )
        if settings.redis_auth == "iam" and not (
            settings.redis_username and settings.redis_cache_name
        ):
            raise ConfigurationError(
                "REDIS_AUTH=iam needs REDIS_USERNAME and REDIS_CACHE_NAME"
            )
        if (settings.database_auth == "iam" or settings.redis_tls) and not (
            settings.ca_bundle
        ):
            raise ConfigurationError(
                "CA_BUNDLE is empty, but DATABASE_AUTH=iam or REDIS_TLS=true needs it"
            )
        return settings


@cache
def settings() -> Settings:
    """Return the settings of this execution environment."""
    return Settings.from_env(os.environ)


def _text(environ: Mapping[str, str], name: str, *, empty: bool = False) -> str:
    value = environ.get(name)
    if value is None:
        raise ConfigurationError(f"{name} is not set")
    if not value and not empty:
        raise ConfigurationError(f"{name} is empty")
    return value


def _number(environ: Mapping[str, str], name: str, least: int, most: int) -> int:
    value = _text(environ, name)
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise ConfigurationError(f"{name} is {value!r}, not a number {least}..{most}")
    return int(value)


def _url(environ: Mapping[str, str], name: str) -> str:
    value = _text(environ, name, empty=True)
    if value and not _URL.fullmatch(value):
        raise ConfigurationError(f"{name} is {value!r}, not https://host or .../path")
    return value


def _choice(
    environ: Mapping[str, str], name: str, choices: tuple[Choice, ...]
) -> Choice:
    value = _text(environ, name)
    if value not in choices:
        raise ConfigurationError(f"{name} is {value!r}, not one of {choices}")
    return value


def _flag(environ: Mapping[str, str], name: str) -> bool:
    return _choice(environ, name, ("true", "false")) == "true"
