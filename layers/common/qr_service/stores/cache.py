"""The cache in front of PostgreSQL: where a code is and when it expires, never a URL.

It may become unavailable at any time. Each command is sent once, with a short timeout.
After a failure the cache is skipped for a few seconds, and then found again by its
name. The log and the metric CachePassedOver show this, the answers do not.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

from qr_service.codes import Code
from qr_service.config import Settings
from qr_service.stores.sigv4 import iam_token
from qr_service.telemetry import describe, logger, metrics

# Seconds for each step of connecting: TCP, TLS and login. They need CPU, of which a
# function has a third of a core.
CONNECT_TIMEOUT = 1.0
COMMAND_TIMEOUT = 0.1  # seconds
SKIP_SECONDS = 5.0
# How long an expired code is cached as expired; its tombstone is kept for days.
EXPIRED_SECONDS = 300

# The cluster client's own exceptions are not subclasses of RedisError.
_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)

Result = TypeVar("Result")


class Cache:
    """Codes by id, in Valkey or Redis."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._failed_at = 0.0

    def get(self, qr_id: str) -> Code | None:
        """Return the code or its tombstone.

        None if not cached, or if the cache is unavailable.
        """
        text = self._ask(lambda client: client.get(f"qr:{qr_id}"))
        return None if text is None else _decoded(qr_id, text)

    def put(self, code: Code, now: datetime) -> None:
        """Cache a code until it expires; an expired one for EXPIRED_SECONDS."""
        expires_at = int(code.expires_at.timestamp())
        expired = code.is_expired(now)
        value = {
            "expires_at": expires_at,
            "object_key": "" if expired else code.object_key,
            "content_type": "" if expired else code.content_type,
        }
        forget_at = int(now.timestamp()) + EXPIRED_SECONDS if expired else expires_at
        self._ask(
            lambda client: client.set(
                f"qr:{code.qr_id}", json.dumps(value), exat=forget_at
            )
        )

    def ping(self) -> bool:
        """Return whether the cache answers."""
        return bool(self._ask(lambda client: client.ping()))

    def _ask(self, command: Callable[[Any], Result]) -> Result | None:
        """Return the answer to one command; None if the cache fails or is skipped."""
        # The wall's clock: the monotonic one may stand still while Lambda freezes the
        # environment. If it was set back, the cache is tried.
        skipped = 0 <= time.time() - self._failed_at < SKIP_SECONDS
        answer = None
        if not skipped:
            try:
                if self._client is None:
                    self._client = _connect(self._settings)
                answer = command(self._client)
            except _FAILURES as error:
                skipped = True
                self._failed_at = time.time()
                self._forget_client()
                logger.warning("cache skipped", **describe(error))
        metrics.add_metric("CachePassedOver", unit="Count", value=int(skipped))
        return answer

    def _forget_client(self) -> None:
        """Close the client: one of a cluster knows only addresses that it once had."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(*_FAILURES):
                client.close()


def _decoded(qr_id: str, text: bytes) -> Code | None:
    """Return the cached code; None if it is damaged or in another release's format."""
    try:
        value = json.loads(text)
        return Code(
            qr_id,
            datetime.fromtimestamp(value["expires_at"], UTC),
            value["object_key"],
            value["content_type"],
        )
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("cached value not understood", **describe(error))
        return None


class _IamToken(CredentialProvider):
    """The user name, and a new token for each connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str, str]:
        settings = self._settings
        token = iam_token(
            "elasticache",
            settings.redis_cache_name,
            {"User": settings.redis_username, "ResourceType": "ServerlessCache"},
            region=settings.aws_region,
        )
        return settings.redis_username, token


class _Cluster(redis.RedisCluster):
    """A client of a cluster that knows our commands, and so does not fetch the list.

    The answer to COMMAND has 98 KB, and parsing it takes 50 ms at each cold start.
    """

    def command(self, **_options: Any) -> dict[str, Any]:
        """Return where the commands have their key."""
        keyed = {"first_key_pos": 1, "last_key_pos": 1, "step_count": 1}
        return {name: {"name": name, "flags": [], **keyed} for name in ("get", "set")}

    def on_connect(self, connection: Any) -> None:
        """Log in on a new connection to a node."""
        _log_in(connection)


def _connect(settings: Settings) -> Any:
    options: dict[str, Any] = {
        "host": settings.redis_host,
        "port": settings.redis_port,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": CONNECT_TIMEOUT,  # until _log_in
        # By default the client tries ten times, which takes seconds.
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    if settings.redis_tls:
        options |= {"ssl": True, "ssl_ca_certs": settings.ca_bundle}
    if settings.redis_auth == "iam":
        options["credential_provider"] = _IamToken(settings)
    if settings.redis_cluster:
        return _Cluster(**options)
    # There is one request at a time: a connection pool would only add cost.
    options |= {"single_connection_client": True, "redis_connect_func": _log_in}
    return redis.Redis(**options)


def _log_in(connection: Any) -> None:
    """Log in, with the longer timeout; then give the connection the shorter one."""
    connection.socket_timeout = COMMAND_TIMEOUT  # which the parser takes at the login
    connection.on_connect()
    connection.update_current_socket_timeout(COMMAND_TIMEOUT)
    connection.socket_timeout = CONNECT_TIMEOUT  # if the connection is opened again
