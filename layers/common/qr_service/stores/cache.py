"""The cache in front of PostgreSQL: where a code is and when it expires, never a URL.

It may become unavailable at any time. Each command is sent once, with a short timeout.
After a failure the cache is skipped for a few seconds, and then found again by its
name. The log and the metric CachePassedOver show this, the answers do not.

An entry is kept until its code expires, and believed for FRESH_SECONDS from the moment
at which its row was read. Then one request claims to refresh it, and the others go on
with it for CLAIM_SECONDS. So a change of which the cache did not learn is hidden for a
minute at most, as long as the database answers. An entry is replaced only by one of
the same or a later revision: a slow reader cannot bring back what a change replaced.
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
FRESH_SECONDS = 55
CLAIM_SECONDS = 5

# Write an entry, unless the one that is there has a later revision. Scripts run with no
# other command in between; these need Redis 7.0 or Valkey. ARGV: value, revision, when
# to forget it.
PUT = """
local old = redis.call('GET', KEYS[1])
if old then
  local known, entry = pcall(cjson.decode, old)
  local revision = known and type(entry) == 'table' and tonumber(entry.revision) or 0
  if revision > tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[3])
return 1
"""
# Return 1 to one caller, who refreshes the entry, and 0 to those that come before a
# moment. ARGV: now, that moment.
CLAIM = """
local old = redis.call('GET', KEYS[1])
if not old then return 1 end
local entry = cjson.decode(old)
if (entry.fresh_until or 0) > tonumber(ARGV[1]) then return 0 end
entry.fresh_until = tonumber(ARGV[2])
redis.call('SET', KEYS[1], cjson.encode(entry), 'KEEPTTL')
return 1
"""

# The cluster client's own exceptions are not subclasses of RedisError.
_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)

Result = TypeVar("Result")


class Cache:
    """Codes by id, in Valkey or Redis."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._failed_at = 0.0

    def get(self, qr_id: str) -> tuple[Code, datetime] | None:
        """Return the code or its tombstone, and the moment until which it is fresh.

        None if not cached, or if the cache is unavailable.
        """
        text = self._ask(lambda client: client.get(f"qr:{qr_id}"))
        return None if text is None else _decoded(qr_id, text)

    def put(self, code: Code, read_at: datetime) -> None:
        """Cache a code until it expires; an expired one for EXPIRED_SECONDS.

        `read_at` is a moment at which the code was so, just before its row was read.
        """
        seconds = int(read_at.timestamp())
        expires_at = int(code.expires_at.timestamp())
        expired = code.is_expired(read_at)
        value = {
            "expires_at": expires_at,
            "object_key": "" if expired else code.object_key,
            "content_type": "" if expired else code.content_type,
            "revision": code.revision,
            "fresh_until": seconds + FRESH_SECONDS,
        }
        forget_at = seconds + EXPIRED_SECONDS if expired else expires_at
        self._run(PUT, code.qr_id, json.dumps(value), code.revision, forget_at)

    def forget(self, code: Code) -> None:
        """Remove the entry of a code, unless it has a later revision."""
        self._run(PUT, code.qr_id, "", code.revision, 1)  # forgotten in 1970

    def claim(self, qr_id: str, now: datetime) -> bool:
        """Return whether the caller is the one who refreshes an entry.

        Until CLAIM_SECONDS later it is nobody else. True if there is no entry, or if
        the cache is unavailable.
        """
        seconds = int(now.timestamp())
        return self._run(CLAIM, qr_id, seconds, seconds + CLAIM_SECONDS) != 0

    def _run(self, script: str, qr_id: str, *arguments: str | int) -> int | None:
        return self._ask(
            lambda client: client.eval(script, 1, f"qr:{qr_id}", *arguments)
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


def _decoded(qr_id: str, text: bytes) -> tuple[Code, datetime] | None:
    """Return what is cached; None if it is damaged or in another release's format."""
    try:
        value = json.loads(text)
        code = Code(
            qr_id,
            datetime.fromtimestamp(value["expires_at"], UTC),
            value["object_key"],
            value["content_type"],
            value["revision"],
        )
        return (code, datetime.fromtimestamp(value["fresh_until"], UTC))
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
