"""The handlers against real servers: PostgreSQL, Valkey, an S3 that checks signatures.

The servers run for the session; each test gets a fresh execution environment.
"""

import psycopg2
import pytest
import redis

from local.servers import APPLICATION, S3, PostgreSQL, Valkey
from tests.support.functions import (
    BUCKET,
    Bucket,
    Functions,
    Servers,
    environment,
    forget,
    migrate_with,
)
from tests.support.transcript import transcript


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    postgresql = PostgreSQL(folder / "postgresql", durable=False)
    valkey = Valkey(folder / "valkey")
    s3 = S3(folder / "s3")
    started = Servers(postgresql, valkey, s3)
    try:
        for server in (postgresql, valkey, s3):
            server.start()
        s3.create_bucket(BUCKET)
        transcript.keep_out(s3.secret_key, postgresql.url(APPLICATION))
        yield started
    finally:
        for server in (s3, valkey, postgresql):
            server.stop()
    leaks = transcript.leaks([postgresql.log.read_text(), valkey.log.read_text()])
    assert not leaks, f"a server logged {leaks}"


@pytest.fixture(scope="session")
def _schema(servers):
    migrate_with(servers)


@pytest.fixture
def functions(servers, _schema, monkeypatch):
    """Yield the functions in fresh execution environments: nothing is connected yet.

    Nothing is cached either: tests of the examples use ids that are unknown to others.
    """
    with redis.Redis(port=servers.valkey.port) as cache:
        cache.flushdb()
    for name, value in environment(servers).items():
        monkeypatch.setenv(name, value)
    forget()
    yield Functions()
    forget()


@pytest.fixture
def database(servers, _schema):
    """Empty the table; yield a function that runs a statement as the admin."""
    connection = psycopg2.connect(servers.postgresql.url("qr_admin"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE qr_codes, scans")

    def query(statement, *parameters):
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None

    yield query
    connection.close()


@pytest.fixture
def bucket(servers):
    """Yield the bucket, emptied for this test."""
    owned = Bucket(servers.s3)
    owned.empty()
    yield owned
    owned.client.close()
