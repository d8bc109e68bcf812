"""The local servers: what they store, refuse and log."""

import socket
import stat

import psycopg2
import pytest

from local.http import get
from local.processes import LocalError, alive, descendants, free_port
from local.servers import ADMIN, ROLES, S3, PostgreSQL, Valkey


@pytest.fixture
def postgresql(tmp_path):
    server = PostgreSQL(tmp_path / "postgresql", durable=False)
    yield server
    server.kill()


def test_a_killed_database_keeps_its_data_and_passwords_and_leaves_no_child(postgresql):
    postgresql.start()
    family = [postgresql.pid, *descendants(postgresql.pid)]
    url = postgresql.url(ADMIN)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n int)")
    connection.close()

    postgresql.kill()
    assert not any(map(alive, family))
    assert not postgresql.running

    postgresql.start()
    assert postgresql.url(ADMIN) == url
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        assert cursor.fetchone() == (0,)
    connection.close()


def test_the_database_requires_a_password_and_logs_no_statement(postgresql):
    postgresql.start()
    url = postgresql.url(ROLES[-1])
    stranger = url.replace(f"{ROLES[-1]}:", f"{ROLES[-1]}:not-")
    with pytest.raises(psycopg2.OperationalError, match="password authentication"):
        psycopg2.connect(stranger)
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor, pytest.raises(psycopg2.DataError):
        cursor.execute("SELECT %s::int", ("a payload",))
    connection.close()
    assert "a payload" not in postgresql.log.read_text()


def test_only_the_owner_can_read_the_passwords(postgresql):
    postgresql.prepare()
    kept = postgresql.folder / "passwords.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(postgresql.folder.stat().st_mode) == 0o700


def test_a_port_in_use_is_an_error_even_if_a_server_answers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Valkey(tmp_path / "valkey", taken.getsockname()[1])
        with pytest.raises(LocalError, match=r"port \d+ is in use"):
            server.start()
    assert not server.running


def test_a_failed_start_quotes_the_servers_log(postgresql):
    postgresql.data.mkdir(parents=True)
    with pytest.raises(
        LocalError, match=r"(?s)PostgreSQL did not start.*postgresql.conf"
    ):
        postgresql.start()
    assert not postgresql.running


def test_killed_storage_restores_its_bucket_and_needs_a_signature(tmp_path):
    server = S3(tmp_path / "s3")
    try:
        server.start()
        server.create_bucket("qr-codes")
        server.kill()
        server.start()
        assert get(f"{server.endpoint_url}/qr-codes").status == 403
        server.create_bucket("qr-codes")  # twice is fine
    finally:
        server.stop()


def test_a_free_port_is_returned_once_and_a_server_can_use_it():
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
    for port in ports:
        assert free_port(port) == port
    with socket.create_server(("127.0.0.1", ports[0])):  # sets SO_REUSEADDR
        assert free_port(ports[0]) != ports[0]
