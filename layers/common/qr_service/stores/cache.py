"""The cache in front of PostgreSQL: where an image is, where a scan leads, until when.

It may become unavailable at any time. Each command is sent once, with a short timeout.
After a failure the cache is skipped for a few seconds, and then found again by its
name. The log and the metric CachePassedOver show this, the answers do not.

An entry is kept until its code expires, and believed for FRESH_SECONDS from the moment
at which its row was read. For CLAIM_SECONDS more, one request refreshes it and the
others go on with it; then nobody does. So a change of which the cache did not learn is
hidden for a minute at most, as long as the database answers. An entry is replaced only
by one of the same or a later revision: a slow reader cannot bring back what a change
replaced.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, Literal, TypeVar, cast
from uuid import uuid4

import redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

from qr_service.codes import Code, Link
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
# How long the scans of a day are kept, from its beginning; the cleanup flushes them.
_DAY = 86_400
COUNTED_SECONDS = 3 * _DAY

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

# Count one scan, and return whether the counter began with it. ARGV: the field, the
# generation of a new counter, when to forget it.
COUNT = """
local began = redis.call('HSETNX', KEYS[1], 'generation', ARGV[2])
if began == 1 then redis.call('EXPIREAT', KEYS[1], ARGV[3]) end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
return began
"""
# Return a part of a counter together with its generation: between two commands it could
# vanish and begin again. ARGV: the position of HSCAN, about how many fields.
COUNTED = """
local generation = redis.call('HGET', KEYS[1], 'generation')
return {generation, redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])}
"""

# The cluster client's own exceptions are not subclasses of RedisError.
_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)

Result = TypeVar("Result")
Entry = TypeVar("Entry", Code, Link)


Scanner = Literal["people", "bots"]
SCANNERS: tuple[Scanner, ...] = ("people", "bots")


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of people and of bots by the id of the code, and their generation.

    A generation is the life of a counter: it counts from 0, and never backwards.
    """

    generation: str
    counts: dict[str, tuple[int, int]]


Ask = Callable[[Callable[[Any], Any]], Any]


class Entries(Generic[Entry]):
    """The entries of one kind, each by its name: the first field of its class.

    `ask` sends a command, and returns None if the cache is unavailable.
    """

    def __init__(self, prefix: str, kind: type[Entry], ask: Ask) -> None:
        self._prefix = prefix
        self._kind: type[Entry] = kind
        self._ask = ask
        self._name, _, *self._fields = (each.name for each in dataclasses.fields(kind))

    def get(self, name: str) -> tuple[Entry, datetime] | None:
        """Return the entry, or its tombstone, and the moment until which it is fresh.

        None if not cached, or if the cache is unavailable.
        """
        text = self._ask(lambda client: client.get(f"{self._prefix}:{name}"))
        return None if text is None else self._decoded(name, text)

    def put(self, entry: Entry, read_at: datetime) -> None:
        """Cache an entry until it expires; an expired one for EXPIRED_SECONDS.

        `read_at` is a moment at which it was so, just before its row was read.
        """
        seconds = int(read_at.timestamp())
        expires_at = int(entry.expires_at.timestamp())
        expired = entry.is_expired(read_at)
        kept = entry.ended() if expired else entry
        value = {field: getattr(kept, field) for field in self._fields}
        value |= {"expires_at": expires_at, "fresh_until": seconds + FRESH_SECONDS}
        forget_at = seconds + EXPIRED_SECONDS if expired else expires_at
        self._run(PUT, entry, json.dumps(value), entry.revision, forget_at)

    def forget(self, entry: Entry) -> None:
        """Remove an entry, unless there is a later revision."""
        self._run(PUT, entry, "", entry.revision, 1)  # forgotten in 1970

    def claim(self, entry: Entry, now: datetime, until: datetime) -> bool:
        """Return whether the caller is the one who refreshes an entry.

        The others believe it until then. True if there is no entry, or if the cache is
        unavailable.
        """
        moments = (int(moment.timestamp()) for moment in (now, until))
        return bool(self._run(CLAIM, entry, *moments) != 0)

    def _run(self, script: str, entry: Entry, *arguments: str | int) -> Any:
        key = f"{self._prefix}:{getattr(entry, self._name)}"
        return self._ask(lambda client: client.eval(script, 1, key, *arguments))

    def _decoded(self, name: str, text: bytes) -> tuple[Entry, datetime] | None:
        """Return what is cached; None if damaged, or in another release's format."""
        try:
            value = json.loads(text)
            expires_at = datetime.fromtimestamp(value["expires_at"], UTC)
            fields = [value[field] for field in self._fields]
            fresh_until = datetime.fromtimestamp(value["fresh_until"], UTC)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("cached value not understood", **describe(error))
            return None
        return self._kind(name, expires_at, *fields), fresh_until


class Counters:
    """The scans of each UTC day, one hash with two fields for each code."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._generation = str(uuid4())  # of the next counter that begins

    def count(self, qr_id: str, scanner: Scanner, now: datetime) -> None:
        """Count a scan, unless the cache is unavailable."""
        midnight = int(now.timestamp()) // _DAY * _DAY
        arguments = (
            _field(qr_id, scanner),
            self._generation,
            midnight + COUNTED_SECONDS,
        )
        began = self._ask(
            lambda client: client.eval(COUNT, 1, _counter(now), *arguments)
        )
        if began != 0:  # it is used, or may be
            self._generation = str(uuid4())

    def of_code(self, qr_id: str, day: date) -> Counted | None:
        """Return what is counted of a code on a day; None if nothing is known."""
        fields = ["generation", *(_field(qr_id, each) for each in SCANNERS)]
        values = self._ask(lambda client: client.hmget(_counter(day), fields))
        if values is None or values[0] is None:
            return None
        generation, *counts = values
        people, bots = (int(count or 0) for count in counts)
        return Counted(generation.decode(), {qr_id: (people, bots)})

    def page(self, day: date, position: int, size: int) -> tuple[Counted, int] | None:
        """Return what is counted of about `size` codes on a day, and the next position.

        That is 0 after the last page. A code may be on several pages, with a count that
        another one lacks. None if nothing is counted, or the cache is unavailable.
        """
        arguments = (str(position), str(2 * size))
        answer = self._ask(
            lambda client: client.eval(COUNTED, 1, _counter(day), *arguments)
        )
        if answer is None or answer[0] is None:
            return None
        generation, (following, found) = answer
        counts: dict[str, tuple[int, int]] = {}
        for name, value in zip(found[::2], found[1::2], strict=True):
            qr_id, _, scanner = name.decode().partition(":")
            if scanner:
                people, bots = counts.get(qr_id, (0, 0))
                if scanner == "people":
                    counts[qr_id] = int(value), bots
                else:
                    counts[qr_id] = people, int(value)
        return Counted(generation.decode(), counts), int(following)


def _counter(day: date) -> str:
    return f"scans:{day.isoformat()[:10]}"  # without the time, if it has one


def _field(qr_id: str, scanner: Scanner) -> str:
    return f"{qr_id}:{scanner}"


class Cache:
    """Codes by id, links by slug and scans by day, in Valkey or Redis."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = None
        self._failed_at = 0.0
        self.codes = Entries("qr", Code, self._use)
        self.links = Entries("slug", Link, self._use)
        self.scans = Counters(self._ask)

    def ping(self) -> bool:
        """Return whether the cache answers."""
        return bool(self._use(lambda client: client.ping()))

    def _use(self, command: Callable[[Any], Result]) -> Result | None:
        """Return what `_ask` does, and report whether the cache was passed over."""
        answer = self._ask(command)
        skipped = self._is_skipped()
        metrics.add_metric("CachePassedOver", unit="Count", value=int(skipped))
        return answer

    def _ask(self, command: Callable[[Any], Result]) -> Result | None:
        """Return the answer to one command; None if the cache fails or is skipped."""
        if self._is_skipped():
            return None
        try:
            if self._client is None:
                self._client = _connect(self._settings)
            return command(self._client)
        except _FAILURES as error:
            self._failed_at = time.time()
            self._forget_client()
            logger.warning("cache skipped", **describe(error))
            return None

    def _is_skipped(self) -> bool:
        # The wall's clock: the monotonic one may stand still while Lambda freezes the
        # environment. If it was set back, the cache is tried.
        return 0 <= time.time() - self._failed_at < SKIP_SECONDS

    def _forget_client(self) -> None:
        """Close the client: one of a cluster knows only addresses that it once had."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(*_FAILURES):
                client.close()


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


# Where our commands have their key.
_KEY_AT = {"GET": 1, "HMGET": 1, "EVAL": 3}
_ELSEWHERE = (
    redis.exceptions.MovedError,
    redis.exceptions.AskError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,
)


class _Cluster(redis.RedisCluster):
    """A client of a cluster that knows our commands, and so does not fetch the list.

    The answer to COMMAND has 98 KB, and parsing it takes 50 ms at each cold start.
    """

    def command(self, **_options: Any) -> dict[str, Any]:
        """Return where the commands have their key."""
        keyed = {"first_key_pos": 1, "last_key_pos": 1, "step_count": 1}
        return {name: {"name": name, "flags": [], **keyed} for name in ("get", "hmget")}

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Send a command to the node that had its key when the cluster was found.

        That is a quarter cheaper than the client's own way, which knows what to do when
        the key has moved.
        """
        client = cast("Any", super())
        at = _KEY_AT.get(arguments[0])
        if at is not None:
            try:
                place = client.get_node_from_key(arguments[at])
                node = cast("Any", self.get_redis_connection(place))
                return node.execute_command(*arguments, **options)
            except _ELSEWHERE:
                pass
        return client.execute_command(*arguments, **options)

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
