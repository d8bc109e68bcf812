"""Servers are killed, suspended or cut off during a statement; no data is lost."""

import os
import select
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import psycopg2
import pytest
import redis
from qr_service.stores import cache as cache_store
from qr_service.stores import database as database_store
from qr_service.stores.table import CodeTable

from local.processes import free_port
from tests.support.clusters import ValkeyCluster
from tests.support.functions import environment, forget
from tests.support.gateway import (
    get_health,
    get_retrieve,
    get_scan,
    manage,
    post_generate,
)
from tests.support.template import RESOURCES

BODY = {"data": "https://example.com/faults", "expiration_hours": 1}


@pytest.fixture(autouse=True)
def _connected(functions, database, bucket):
    """Connect the functions to all servers before each test."""
    assert post_generate(functions.generate, BODY).status == 201
    assert get_health(functions.retrieve).status == 200
    database("TRUNCATE qr_codes, scans")
    bucket.empty()


@contextmanager
def admin_cursor(servers):
    connection = psycopg2.connect(servers.postgresql.url("qr_admin"))
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextmanager
def killed(server):
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def suspended(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(params=["single node", "cluster"])
def valkey(request, servers, tmp_path, monkeypatch):
    """Yield the functions' cache: first a single node, then a cluster."""
    if request.param == "single node":
        yield servers.valkey
        return
    cluster = ValkeyCluster(tmp_path / "cluster", free_port())
    cluster.start()
    monkeypatch.setenv("REDIS_PORT", str(cluster.port))
    monkeypatch.setenv("REDIS_CLUSTER", "true")
    forget()
    yield cluster
    cluster.stop()


@pytest.mark.parametrize("fault", ["killed", "suspended"])
@pytest.mark.parametrize("warm", [True, False])
def test_requests_succeed_without_the_cache(functions, valkey, fault, warm, log):
    qr_id = post_generate(functions.generate, BODY).body["qr_id"]
    assert get_health(functions.retrieve).body["cache"] == "ok"
    if not warm:
        forget()
    outage = killed(valkey) if fault == "killed" else suspended(valkey.pid)
    with outage:
        for _ in range(3):
            assert get_retrieve(functions.retrieve, qr_id).status == 200
            assert post_generate(functions.generate, BODY).status == 201
        assert get_health(functions.retrieve).body["cache"] == "unavailable"
    skipped = [line for line in log() if line["message"] == "cache skipped"]
    assert len(skipped) == 2, "once by generate and once by retrieve"


@pytest.mark.parametrize(
    "value", ["not JSON", "[]", "{}", "\xff", '{"expires_at": "soon"}']
)
def test_a_cached_value_of_another_release_is_a_miss(functions, servers, value):
    qr_id = post_generate(functions.generate, BODY).body["qr_id"]
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.set(f"qr:{qr_id}", value.encode("latin-1"))
        assert get_retrieve(functions.retrieve, qr_id).status == 200
        assert b"object_key" in cache.get(f"qr:{qr_id}"), "it is overwritten"


@pytest.fixture
def frozen(monkeypatch):
    """Let the environment be frozen: the wall's clock moves on, the monotonic stops."""
    clock = SimpleNamespace(now=time.time())
    clocks = SimpleNamespace(time=lambda: clock.now, monotonic=lambda: 1000.0)
    monkeypatch.setattr(database_store, "time", clocks)
    monkeypatch.setattr(cache_store, "time", clocks)
    return clock


@pytest.mark.parametrize("seconds", [cache_store.SKIP_SECONDS + 1, -60])
def test_the_cache_is_used_again_after_a_while(functions, servers, frozen, seconds):
    with killed(servers.valkey):
        assert get_health(functions.retrieve).body["cache"] == "unavailable"
    assert get_health(functions.retrieve).body["cache"] == "unavailable"
    frozen.now += seconds
    assert get_health(functions.retrieve).body["cache"] == "ok"


class Entry:
    """A fixed address in front of a server that may move, as a host name on AWS."""

    def __init__(self, target):
        self.target = target
        self.delay = lambda _data: (
            0
        )  # seconds before some data of a client is passed on
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            while True:
                for readable in select.select([client, server], [], [])[0]:
                    try:
                        data = readable.recv(65536)
                    except ConnectionError:
                        return
                    if not data:
                        return
                    if readable is client:
                        time.sleep(self.delay(data))
                    (server if readable is client else client).sendall(data)


@pytest.fixture
def clusters(functions, tmp_path, monkeypatch):
    """Start two clusters of one node; the functions find the first by an Entry."""
    first, second = (ValkeyCluster(tmp_path / name, free_port()) for name in "ab")
    entry = None
    try:
        for cluster in (first, second):
            cluster.start()
        entry = Entry(first.port)
        monkeypatch.setenv("REDIS_PORT", str(entry.port))
        monkeypatch.setenv("REDIS_CLUSTER", "true")
        forget()
        yield entry, first, second
    finally:
        if entry:
            entry.close()
        for cluster in (first, second):
            cluster.stop()


def test_a_key_that_moved_is_found_where_it_is(functions, clusters, monkeypatch, log):
    """As while a cluster grows: a node says MOVED, and is not skipped for that."""
    _, first, _ = clusters
    qr_id = post_generate(functions.generate, BODY).body["qr_id"]
    real, moved = redis.Redis.execute_command, []

    def execute(client, *arguments, **options):
        if arguments[0] == "GET":
            moved.append(arguments)
            raise redis.exceptions.MovedError(f"1 127.0.0.1:{first.port}")
        return real(client, *arguments, **options)

    monkeypatch.setattr(redis.Redis, "execute_command", execute)
    assert get_retrieve(functions.retrieve, qr_id).status == 200
    assert len(moved) == 1
    assert not [line for line in log() if line["message"] == "cache skipped"]


def test_a_cluster_whose_nodes_all_moved_is_found_again(
    functions, clusters, frozen, monkeypatch
):
    """It is used again within ten seconds, in the same execution environment."""
    entry, first, second = clusters
    qr_id = post_generate(functions.generate, BODY).body["qr_id"]
    assert get_retrieve(functions.retrieve, qr_id).status == 200
    with redis.Redis(port=first.port) as node:
        assert node.exists(f"qr:{qr_id}")
    first.kill()
    entry.target = second.port
    assert get_retrieve(functions.retrieve, qr_id).status == 200, "from the database"
    assert post_generate(functions.generate, BODY).status == 201
    frozen.now += cache_store.SKIP_SECONDS + 1
    assert cache_store.SKIP_SECONDS + 1 < 10
    assert get_retrieve(functions.retrieve, qr_id).status == 200
    with redis.Redis(port=second.port) as node:
        assert node.exists(f"qr:{qr_id}"), "cached again"
        hits = node.info("stats")["keyspace_hits"]
        assert get_retrieve(functions.retrieve, qr_id).status == 200
        assert node.info("stats")["keyspace_hits"] == hits + 1
        other = post_generate(functions.generate, BODY).body["qr_id"]
        assert node.exists(f"qr:{other}")


def test_a_cluster_gets_the_commands_that_the_template_allows_and_no_others(
    functions, clusters, database, bucket
):
    _, first, _ = clusters
    fields = {"data": "https://example.com", "dynamic": True, "expiration_hours": 1}
    with redis.Redis(port=first.port, decode_responses=True) as node:
        node.config_resetstat()
        qr_id = post_generate(functions.generate, BODY).body["qr_id"]
        assert get_retrieve(functions.retrieve, qr_id).status == 200
        assert get_health(functions.retrieve).body["cache"] == "ok"
        made = post_generate(functions.generate, fields, api_key_id="owner").body
        slug = made["short_url"].rpartition("/")[2]
        assert get_scan(functions.redirect, slug).status == 302
        scans = manage(
            functions.manage, "GET", f"{made['qr_id']}/scans", api_key_id="owner"
        )
        assert scans.body["people"] == 1
        assert functions.clean_up()["flushed"] == 1
        sent = {name.removeprefix("cmdstat_") for name in node.info("commandstats")}
    rights = RESOURCES["CacheUser"]["Properties"]["AccessString"].split()
    allowed = {right[1:] for right in rights if right.startswith("+")}
    sent -= {"config|resetstat", "info"}
    assert sent <= allowed
    # The client finds the nodes of a cluster with one of three commands.
    assert {name for name in allowed - sent if not name.startswith("cluster|")} == set()


@pytest.mark.parametrize("kind", ["single node", "cluster"])
@pytest.mark.parametrize(
    ("slow", "state"), [("login", "ok"), ("command", "unavailable")]
)
def test_a_login_may_take_longer_than_a_command(
    functions, clusters, monkeypatch, kind, slow, state
):
    """A login or a command takes three times as long as a command may."""
    entry, cluster, _ = clusters
    seconds = 3 * cache_store.COMMAND_TIMEOUT
    assert seconds < cache_store.CONNECT_TIMEOUT
    entry.delay = lambda data: seconds if (b"AUTH" in data) is (slow == "login") else 0
    with redis.Redis(port=cluster.port) as node:
        node.acl_setuser("qr", enabled=True, nopass=True, keys="*", commands=["+@all"])
        # The client then uses the entry for all commands.
        node.config_set("cluster-announce-port", entry.port)
    monkeypatch.setenv("REDIS_AUTH", "iam")
    monkeypatch.setenv("REDIS_USERNAME", "qr")
    monkeypatch.setenv("REDIS_CACHE_NAME", "qr")
    if kind == "single node":
        monkeypatch.setenv("REDIS_CLUSTER", "false")
    forget()
    assert get_health(functions.retrieve).body["cache"] == state


def test_a_cached_code_is_served_without_the_database(functions, servers):
    qr_id = post_generate(functions.generate, BODY).body["qr_id"]
    uncached = "00000000-0000-4000-8000-000000000000"
    with killed(servers.postgresql):
        assert get_retrieve(functions.retrieve, qr_id).status == 200
        reply = get_retrieve(functions.retrieve, uncached)
        assert (reply.status, reply.body["code"]) == (503, "unavailable")
        assert int(reply.headers["retry-after"]) > 0
        assert post_generate(functions.generate, BODY).status == 503
        assert get_health(functions.retrieve).status == 503
    # In the same execution environment, without restarting anything:
    assert get_retrieve(functions.retrieve, uncached).status == 404
    assert post_generate(functions.generate, BODY).status == 201
    assert get_health(functions.retrieve).status == 200


def test_without_a_database_no_object_is_left(functions, servers, bucket, monkeypatch):
    url = environment(servers)["DATABASE_URL"]
    unreachable = url.replace(str(servers.postgresql.port), str(free_port()))
    monkeypatch.setenv("DATABASE_URL", unreachable)
    forget()
    assert post_generate(functions.generate, BODY).status == 503
    assert bucket.keys() == set()


def test_without_storage_no_row_is_left(functions, servers, database):
    with killed(servers.s3):
        reply = post_generate(functions.generate, BODY)
        assert reply.status == 503
        assert database("SELECT count(*) FROM qr_codes") == [(0,)]
    assert post_generate(functions.generate, BODY).status == 201


def test_a_connection_lost_while_frozen_is_replaced(functions, database):
    database(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename <> 'qr_admin'"
    )
    assert post_generate(functions.generate, BODY).status == 201
    assert get_health(functions.retrieve).status == 200
    assert database("SELECT count(*) FROM qr_codes") == [(1,)]


def test_a_database_that_does_not_answer_times_out(
    functions, database, monkeypatch, log
):
    monkeypatch.setattr("qr_service.stores.database.TIMEOUT", 0.5)
    pids = database("SELECT pid FROM pg_stat_activity WHERE usename <> 'qr_admin'")
    held = [suspended(pid) for (pid,) in pids]
    for one in held:
        one.__enter__()
    try:
        reply = get_health(functions.retrieve)
    finally:
        for one in held:
            one.__exit__(None, None, None)
    assert reply.status == 503
    errors = [line["error"] for line in log() if line["level"] == "WARNING"]
    assert errors == ["TimeoutError"]


class Cutter:
    """A proxy for PostgreSQL that closes the connection at the first INSERT.

    `when` is "before" (the server does not receive the INSERT) or "after" (the server
    commits it, but the answer is lost). With `again`, it forwards later connections.
    """

    def __init__(self, target, when, *, again):
        self.target, self.when, self.again = target, when, again
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.cuts and not self.again:
                client.close()
                continue
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            while True:
                for readable in select.select([client, server], [], [])[0]:
                    try:
                        data = readable.recv(65536)
                    except ConnectionError:
                        return
                    if not data:
                        return
                    insert = not self.cuts and b"INSERT INTO qr_codes" in data
                    if insert and self.when == "before":
                        self.cuts += 1
                        return
                    (server if readable is client else client).sendall(data)
                    if insert:
                        self.cuts += 1
                        server.recv(65536)  # committed, but the client gets no answer
                        return


@pytest.fixture
def cut(functions, servers, monkeypatch):
    opened = []

    def start(when, *, again):
        cutter = Cutter(servers.postgresql.port, when, again=again)
        opened.append(cutter)
        url = environment(servers)["DATABASE_URL"]
        proxied = url.replace(f":{servers.postgresql.port}/", f":{cutter.port}/")
        monkeypatch.setenv("DATABASE_URL", f"{proxied}?gssencmode=disable")
        forget()
        return cutter

    yield start
    for cutter in opened:
        cutter.close()


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "cut during the commit"}])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_during_commit_creates_one_row(
    functions, database, bucket, cut, when, key
):
    cutter = cut(when, again=True)
    reply = post_generate(functions.generate, BODY, key)
    assert cutter.cuts == 1
    assert reply.status == 201
    assert "idempotency-replayed" not in reply.headers
    assert database("SELECT id FROM qr_codes") == [(reply.body["qr_id"],)]
    assert bucket.keys() == {f"codes/{reply.body['qr_id']}.png"}


@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_an_unknown_commit_leaves_no_row_without_an_object(
    functions, database, bucket, cut, when, rows
):
    cutter = cut(when, again=False)
    reply = post_generate(functions.generate, BODY)
    assert cutter.cuts == 1
    assert reply.status == 503
    found = database("SELECT object_key FROM qr_codes")
    assert len(found) == rows
    assert {key for (key,) in found} <= bucket.keys()
    assert len(bucket.keys()) == 1, "kept for the sweep: a row may refer to it"


def test_a_request_repeated_after_a_503_gets_the_same_code(
    functions, database, bucket, cut
):
    key = {"Idempotency-Key": "repeat after 503"}
    cutter = cut("after", again=False)
    assert post_generate(functions.generate, BODY, key).status == 503
    cutter.again = True
    reply = post_generate(functions.generate, BODY, key)
    assert reply.status == 201
    assert reply.headers["idempotency-replayed"] == "true"
    assert database("SELECT id FROM qr_codes") == [(reply.body["qr_id"],)]


def test_a_statement_that_the_server_refuses_is_not_repeated(
    functions, servers, bucket, log
):
    with admin_cursor(servers) as cursor:
        cursor.execute("LOCK TABLE qr_codes IN ACCESS EXCLUSIVE MODE")
        reply = post_generate(functions.generate, BODY)
    assert reply.status == 503
    states = [line["sqlstate"] for line in log() if "sqlstate" in line]
    assert states == ["55P03"], "one lock_timeout, not two"
    assert bucket.keys() == set(), "there is certainly no row"


def test_an_object_is_kept_if_its_commit_cannot_be_checked(
    functions, database, bucket, cut, monkeypatch
):
    cut("after", again=True)
    monkeypatch.setattr(
        CodeTable,
        "_CONFLICTS",
        "SELECT pg_sleep(10) FROM qr_codes WHERE id = ANY(%(ids)s::uuid[])",
    )
    reply = post_generate(functions.generate, BODY)  # ends at the statement_timeout
    assert reply.status == 503
    assert [f"codes/{row[0]}.png" for row in database("SELECT id FROM qr_codes")] == [
        *bucket.keys()
    ]


def test_a_connection_to_a_demoted_writer_is_replaced(functions, database, bucket):
    database("ALTER ROLE qr_generate SET default_transaction_read_only = on")
    forget()  # the setting applies to new connections only
    try:
        assert post_generate(functions.generate, BODY).status == 503
    finally:
        database("ALTER ROLE qr_generate RESET default_transaction_read_only")
    assert bucket.keys() == set()
    assert post_generate(functions.generate, BODY).status == 201


def test_a_refused_insert_leaves_no_object(functions, database, bucket):
    database("REVOKE INSERT ON qr_codes FROM qr_generate")
    try:
        assert post_generate(functions.generate, BODY).status == 500
    finally:
        database("GRANT INSERT ON qr_codes TO qr_generate")
    assert bucket.keys() == set()


CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE usename <> 'qr_admin'"


@pytest.mark.parametrize("seconds", [database_store.IDLE + 1, -60])
def test_a_connection_idle_for_too_long_is_replaced(
    functions, database, frozen, seconds
):
    assert get_health(functions.retrieve).status == 200
    before = set(database(CONNECTIONS))
    frozen.now += database_store.IDLE / 2
    assert get_health(functions.retrieve).status == 200
    assert set(database(CONNECTIONS)) == before
    frozen.now += seconds
    assert get_health(functions.retrieve).status == 200
    assert set(database(CONNECTIONS)) != before


@pytest.mark.parametrize(("seconds", "status"), [(1, 503), (60, 200)])
def test_a_statement_that_times_out_after_an_idle_time_is_sent_once_more(
    functions, database, frozen, monkeypatch, seconds, status
):
    assert get_health(functions.retrieve).status == 200
    monkeypatch.setattr(database_store, "TIMEOUT", 0.5)
    monkeypatch.setattr(database_store, "time", ticking(frozen))
    frozen.now += seconds
    with ExitStack() as stack:
        for (pid,) in database(CONNECTIONS):
            stack.enter_context(suspended(pid))
        assert get_health(functions.retrieve).status == status


def ticking(clock):
    """Return the clocks of a thawed environment: both move."""
    start = time.monotonic()
    return SimpleNamespace(
        time=lambda: clock.now + time.monotonic() - start, monotonic=time.monotonic
    )
