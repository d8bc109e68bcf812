"""Warm requests against real stores: starts the stores, and then `warm`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
from qr_service.stores import migrations

from benchmarks.measure import Budget, Row
from local.servers import ADMIN, APPLICATION, S3, PostgreSQL, Server, Valkey
from tests.support.clusters import ValkeyCluster
from tests.support.environment import ENVIRONMENT

BUDGETS = {
    "generate": Budget("share", 0.5, 0.25),
    "retrieve": Budget("share", 0.7, 0.4),
}
BATCH = Budget("share", 0.9, 0.7)  # of a code by itself
SCAN = Budget("share", 1.1, 1.0)  # of a retrieve, both from a cache in cluster mode
BUCKET = "benchmarks"
MIGRATIONS = Path("functions/migrate/migrations")


def measure_requests(rounds: int) -> Iterator[Row]:
    """Yield a row for each route."""
    # The functions must not see the developer's own AWS settings.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}

    def measured(what: str, environment: dict[str, str]) -> dict[str, dict[str, float]]:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.warm", what, str(rounds)],
            env=inherited | environment,
            stdout=subprocess.PIPE,  # the functions' logs, and the medians
            text=True,
            check=True,
        )
        found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
        return found

    with TemporaryDirectory() as folder, stores(Path(folder)) as environment:
        requests = measured("requests", environment)
        batch = measured("batch", environment)
        cluster = ValkeyCluster(Path(folder) / "cluster")
        cluster.start()
        try:
            port = {"REDIS_CLUSTER": "true", "REDIS_PORT": str(cluster.port)}
            scans = measured("scans", environment | port)
        finally:
            cluster.stop()
    for route, values in requests.items():
        yield Row("warm request", route, "ms", values, "plain FastAPI", BUDGETS[route])
    yield Row("warm batch", "a code", "ms", batch["batch"], "generate", BATCH)
    yield Row("warm scan", "counted", "ms", scans["scan"], "retrieve", SCAN)


@contextmanager
def stores(folder: Path, keys: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """Run PostgreSQL, Valkey and S3; yield the functions' environment.

    S3 starts with an object for each key. They are written as files, which MiniStack
    serves as objects: this takes a tenth of the time of requests.
    """
    postgresql = PostgreSQL(folder / "postgresql")
    valkey = Valkey(folder / "valkey")
    s3 = S3(folder / "s3")
    objects = s3.objects / "000000000000" / BUCKET
    for key in keys:
        path = objects / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(600))
    servers: list[Server] = [postgresql, valkey, s3]
    try:
        for server in servers:
            server.start()
        s3.create_bucket(BUCKET)
        with closing(psycopg2.connect(postgresql.url(ADMIN))) as connection:
            migrations.apply(connection, migrations.load(MIGRATIONS))
        yield ENVIRONMENT | {
            "DATABASE_URL": postgresql.url(APPLICATION),  # one process does all
            "REDIS_PORT": str(valkey.port),
            "QR_BUCKET": BUCKET,
            "S3_ENDPOINT_URL": s3.endpoint_url,
            "AWS_REGION": s3.region,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "LOG_LEVEL": "INFO",
            "PLAIN_DATABASE_URL": postgresql.url(ADMIN),  # it creates its own table
            "PLAIN_FOLDER": str(folder),
        }
    finally:
        for server in servers:
            server.stop()
