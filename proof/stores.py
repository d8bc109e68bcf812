"""What PostgreSQL, Valkey and S3 hold, read with all rights; and `make audit`."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import boto3
import psycopg2
import redis
from botocore.exceptions import BotoCoreError, ClientError

from local.processes import LocalError
from local.project import ROOT
from local.stack import any_stack
from proof.audit import Entry, State, leftovers, violations
from proof.models import Row

SHOWN = 1000  # images between two lines of progress
TEXTS = {"id", "options", "answer", "targets"}  # read as text
COLUMNS = ", ".join(
    f"{field.name}::text" if field.name in TEXTS else field.name
    for field in fields(Row)
)


class Stores:
    """The three stores of a service, from outside."""

    def __init__(
        self, postgresql: Any, valkey: redis.Redis, s3: Any, bucket: str
    ) -> None:
        self._postgresql = postgresql
        self.valkey = valkey
        self.s3 = s3
        self.bucket = bucket

    @classmethod
    def of(cls, environment: Mapping[str, Mapping[str, str]]) -> Self:
        """Open those of an env.json, which is what the local functions get."""
        common = environment["Parameters"]
        s3 = boto3.client(
            "s3",
            endpoint_url=common["S3_ENDPOINT_URL"],
            region_name=common["AWS_REGION"],
            aws_access_key_id=common["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=common["AWS_SECRET_ACCESS_KEY"],
        )
        return cls(
            psycopg2.connect(environment["MigrateFunction"]["DATABASE_URL"]),
            redis.Redis(common["REDIS_HOST"], int(common["REDIS_PORT"])),
            s3,
            common["QR_BUCKET"],
        )

    def close(self) -> None:
        """Close the connections."""
        self._postgresql.close()
        self.valkey.close()
        self.s3.close()

    def query(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run and commit one statement; return its rows."""
        self._postgresql.autocommit = True
        with self._postgresql.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def state(self) -> State:
        """Return what they hold. Images are read later, when the auditor reads them.

        Rows come first: the object of a row was there before it.
        """
        names = [field.name for field in fields(Row)]
        rows = [
            Row(**dict(zip(names, row, strict=True)))
            for row in self.query(f"SELECT {COLUMNS} FROM qr_codes")  # noqa: S608
        ]
        return State(
            now=datetime.now(UTC),
            rows={row.id: row for row in rows},
            objects=frozenset(self.keys()),
            entries=dict(self._entries()),
            read=self.read,
        )

    def keys(self) -> Iterator[str]:
        """Yield the keys of all objects."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        for page in pages:
            yield from (found["Key"] for found in page.get("Contents", []))

    def read(self, key: str) -> bytes:
        """Return a stored image."""
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def _entries(self) -> Iterator[tuple[str, Entry]]:
        for kind in ("qr", "slug"):
            for name in self.valkey.scan_iter(f"{kind}:*"):
                value: Any = self.valkey.get(name)
                forget_at: Any = self.valkey.expiretime(name)
                if value:
                    yield name.decode(), Entry.of(value, forget_at)


def audit(stores: Stores) -> list[str]:
    """Print what the stores hold; return the broken promises.

    While requests are served the three are not read at one moment: what is broken has
    to be so twice.
    """
    state = stores.state()
    images = 0

    def read(key: str) -> bytes:
        nonlocal images
        images += 1
        if images % SHOWN == 0:
            print(f"{images:,} images read", flush=True)
        return state.read(key)

    found = set(violations(replace(state, read=read), [], {}, timedelta()))
    if found:
        found &= set(violations(stores.state(), [], {}, timedelta()))
    erased = sum(row.erased_at is not None for row in state.rows.values())
    print(
        f"{len(state.rows) - erased:,} codes, {erased:,} tombstones,"
        f" {len(state.objects):,} objects, {len(state.entries):,} cache entries;"
        f" {images:,} images read back"
    )
    waiting = len(list(leftovers(state)))
    if waiting:
        print(f"{waiting:,} expired codes and objects without a row await the cleanup")
    return sorted(found)


def main() -> int:
    """Return the exit code: 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--state", type=Path, default=ROOT / ".local", help="(.local)")
    state = parser.parse_args().state.absolute()
    try:
        with any_stack(state) as stack:
            stack.migrate()
            environment = json.loads(stack.api.variables.read_text())
            with closing(Stores.of(environment)) as stores:
                found = audit(stores)
    except LocalError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    except (psycopg2.Error, redis.RedisError, BotoCoreError, ClientError) as error:
        print(f"audit: {str(error).strip()}", file=sys.stderr)
        return 2
    for violation in found:
        print(f"  {violation}")
    print(f"{len(found)} violations")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
