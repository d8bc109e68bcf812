"""The handlers on real servers, and direct changes of what the servers store."""

import json
import os
from dataclasses import dataclass

import redis
from qr_service.config import settings
from qr_service.telemetry import metrics

import functions.cleanup.app as cleanup
import functions.generate.app as generate
import functions.manage.app as manage
import functions.migrate.app as migrate
import functions.pages.app as pages
import functions.redirect.app as redirect
import functions.retrieve.app as retrieve
from local.servers import APPLICATION, S3, PostgreSQL, Valkey
from tests.support.gateway import Context

BUCKET = "qr-codes-test"


@dataclass(frozen=True)
class Servers:
    """The three servers of the session."""

    postgresql: PostgreSQL
    valkey: Valkey
    s3: S3


def migrate_with(servers):
    """Run the migrate function as on AWS: as the database's admin."""
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
        "DATABASE_URL": servers.postgresql.url(APPLICATION),
        "REDIS_PORT": str(servers.valkey.port),
        "QR_BUCKET": BUCKET,
        "S3_ENDPOINT_URL": servers.s3.endpoint_url,
        "AWS_REGION": servers.s3.region,
        "AWS_ACCESS_KEY_ID": servers.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": servers.s3.secret_key,
    }


def as_role(role, handler):
    """Return a handler that connects to the database as its own role, as on AWS."""

    def handle(event, context):
        shared = os.environ["DATABASE_URL"]
        os.environ["DATABASE_URL"] = shared.replace(APPLICATION, role, 1)
        settings.cache_clear()
        try:
            return handler(event, context)
        finally:
            os.environ["DATABASE_URL"] = shared

    return handle


class Functions:
    """The handlers."""

    generate_app = generate
    generate = staticmethod(as_role("qr_generate", generate.handler))
    retrieve = staticmethod(as_role("qr_retrieve", retrieve.handler))
    manage = staticmethod(as_role("qr_manage", manage.handler))
    redirect = staticmethod(as_role("qr_redirect", redirect.handler))
    cleanup = staticmethod(as_role("qr_cleanup", cleanup.handler))
    pages = staticmethod(pages.handler)

    @classmethod
    def clean_up(cls, seconds=60):
        return cls.cleanup({}, Context(seconds))


def forget():
    """Clear all cached objects, as if the execution environments had ended."""
    metrics.clear_metrics()
    for opened in (generate.generator, manage.manager):
        if opened.cache_info().currsize:
            opened().storage.close()
    for factory in (
        settings,
        generate.generator,
        retrieve.retriever,
        redirect.redirector,
        manage.manager,
        cleanup.cleaner,
        cleanup.scans,
    ):
        factory.cache_clear()


def age(database, servers, qr_id, moment, *, cached):
    """Make a code expire at `moment`, as if it had been created a day earlier.

    The code is removed from the cache or, with `cached`, expires there at `moment` too.
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
    """Direct access to the bucket, as its owner has it."""

    def __init__(self, s3):
        self.client = s3.client()

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def put(self, key):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=b"png")

    def delete(self, key):
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def empty(self):
        for key in self.keys():
            self.delete(key)
