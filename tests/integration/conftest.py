"""The handlers against real servers: PostgreSQL, Valkey, an S3 that checks signatures.

The servers live for the session; each test gets a fresh execution environment.
"""

import json
import os
from dataclasses import dataclass

import boto3
import psycopg2
import pytest
import redis
from botocore.config import Config
from qr_service.config import settings

import functions.cleanup.app as cleanup
import functions.generate.app as generate
import functions.migrate.app as migrate
import functions.retrieve.app as retrieve
from local.processes import free_port
from local.servers import S3, PostgreSQL, Valkey
from tests.gateway import Context
from tests.transcript import transcript

BUCKET = "qr-codes-test"


@dataclass(frozen=True)
class Servers:
    """The three servers of the session."""

    postgresql: PostgreSQL
    valkey: Valkey
    s3: S3


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    postgresql = PostgreSQL(folder / "postgresql", free_port(), durable=False)
    valkey = Valkey(folder / "valkey", free_port())
    s3 = S3(folder / "s3", free_port())
    started = Servers(postgresql, valkey, s3)
    try:
        for server in (postgresql, valkey, s3):
            server.start()
        s3.create_bucket(BUCKET)
        transcript.keep_out(s3.secret_key, postgresql.url("qr_app"))
        yield started
    finally:
        for server in (s3, valkey, postgresql):
            server.stop()
    leaks = transcript.leaks([postgresql.log.read_text(), valkey.log.read_text()])
    assert not leaks, f"a server logged {leaks}"


@pytest.fixture(scope="session")
def _schema(servers):
    migrate_with(servers)


def migrate_with(servers):
    """Runs the migrate function as it runs on AWS: as the database's admin."""
    before = dict(os.environ)
    os.environ.update(environment(servers))
    os.environ["DATABASE_URL"] = servers.postgresql.url("qr_admin")
    settings.cache_clear()
    try:
        return migrate.handler({}, Context())
    finally:
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()


def environment(servers):
    return {
        "DATABASE_URL": servers.postgresql.url("qr_app"),
        "REDIS_PORT": str(servers.valkey.port),
        "QR_BUCKET": BUCKET,
        "S3_ENDPOINT_URL": servers.s3.endpoint_url,
        "AWS_REGION": servers.s3.region,
        "AWS_ACCESS_KEY_ID": servers.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": servers.s3.secret_key,
    }


@pytest.fixture
def functions(servers, _schema, monkeypatch):
    """Fresh execution environments: nothing is connected yet."""
    for name, value in environment(servers).items():
        monkeypatch.setenv(name, value)
    forget()
    yield Functions()
    forget()


class Functions:
    """The three handlers."""

    generate = staticmethod(generate.handler)
    retrieve = staticmethod(retrieve.handler)

    @staticmethod
    def clean_up(seconds=60):
        return cleanup.handler({}, Context(seconds))


def forget():
    """As if the execution environments had ended."""
    if generate.generator.cache_info().currsize:
        generate.generator().storage.close()
    for factory in (
        settings,
        generate.generator,
        retrieve.retriever,
        cleanup.cleaner,
    ):
        factory.cache_clear()


@pytest.fixture
def database(servers, _schema):
    """The admin's view of the table, emptied for this test."""
    connection = psycopg2.connect(servers.postgresql.url("qr_admin"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE qr_codes")

    def query(statement, *parameters):
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None

    yield query
    connection.close()


def age(database, servers, qr_id, moment, *, cached):
    """Makes a code expire at `moment`, as if it had been made a day before that.

    In the cache it is forgotten, or, with `cached`, expires at `moment` as well.
    """
    database(
        "UPDATE qr_codes SET created_at = %s - interval '1 day', expires_at = %s"
        " WHERE id = %s",
        moment,
        moment,
        qr_id,
    )
    with redis.Redis(port=servers.valkey.port, decode_responses=True) as cache:
        value = json.loads(cache.getdel(f"qr:{qr_id}"))
        if cached:
            value["expires_at"] = int(moment.timestamp())
            cache.set(f"qr:{qr_id}", json.dumps(value), ex=60)


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, s3):
        self.client = boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url,
            region_name=s3.region,
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def put(self, key):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=b"png")

    def empty(self):
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)


@pytest.fixture
def bucket(servers):
    """The bucket, emptied for this test."""
    owned = Bucket(servers.s3)
    owned.empty()
    yield owned
    owned.client.close()
