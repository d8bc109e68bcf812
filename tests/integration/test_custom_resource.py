"""Migrations as a CloudFormation resource, which answers on success and on failure.

The requests are created here and not stored in events/. Each contains the URL of a
server that waits for the answer, but a file in events/ must work for everybody.
"""

import json
import socket
import ssl
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Thread

import psycopg2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from psycopg2 import sql
from qr_service.config import settings
from qr_service.edge import custom_resource
from qr_service.edge.events import InvocationFailed

import functions.migrate.app as migrate
from tests.support.functions import environment
from tests.support.gateway import Context
from tests.support.transcript import transcript

NEWEST = migrate.migrations.load(migrate.FOLDER)[-1].version
SIGNATURE = "signature-of-the-response-url"
UNREACHABLE = "postgresql://qr_admin:the-password@127.0.0.1:1/qrcodes"


class CloudFormation(ThreadingHTTPServer):
    """A stand-in that refuses the first `refusals` answers and keeps the others."""

    refusals = 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/answer?X-Amz-Signature="
        self.url += SIGNATURE
        self.tries, self.answers, self.headers = 0, [], []


class Answer(BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        refused = self.server.tries <= self.server.refusals
        if not refused:
            assert self.path.endswith(SIGNATURE)
            self.server.answers.append(json.loads(body))
            self.server.headers.append(dict(self.headers))
        self.send_response(503 if refused else 200)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def cloudformation(monkeypatch):
    transcript.keep_out(SIGNATURE)
    monkeypatch.setattr(custom_resource, "_PAUSES", (0.01, 0.01))
    with CloudFormation() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def send(servers, cloudformation, monkeypatch):
    """Return a function that sends a request to migrate and returns its answer."""
    for name, value in environment(servers).items():
        monkeypatch.setenv(name, value)

    def send(kind="Create", version=NEWEST, *, database, seconds=60, **further):
        monkeypatch.setenv("DATABASE_URL", database)
        settings.cache_clear()
        request = {
            "RequestType": kind,
            "ResponseURL": cloudformation.url,
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/qr/1",
            "RequestId": "3f0b1c9e",
            "LogicalResourceId": "Schema",
            "ResourceType": "Custom::Schema",
            "ResourceProperties": {"SchemaVersion": str(version)},  # always text
            **further,
        }
        migrate.handler(request, Context(seconds))
        return cloudformation.answers[-1]

    yield send
    settings.cache_clear()


@pytest.fixture
def empty(servers):
    """Return the URL of a database without a schema."""
    admin = psycopg2.connect(servers.postgresql.url("qr_admin"))
    admin.autocommit = True
    with closing(admin), admin.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS deployed WITH (FORCE)")
        cursor.execute("CREATE DATABASE deployed")
    return servers.postgresql.url("qr_admin").rpartition("/")[0] + "/deployed"


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Return a function that replaces the project's migrations by one with its text."""
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)
    return (tmp_path / "0001_broken.sql").write_text


def versions(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version FROM schema_migrations ORDER BY version")
        return [version for (version,) in cursor.fetchall()]


def test_create_applies_the_schema_and_reports_success(send, empty, cloudformation):
    assert send("Create", database=empty) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "qr-codes-schema",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/qr/1",
        "RequestId": "3f0b1c9e",
        "LogicalResourceId": "Schema",
    }
    assert versions(empty) == list(range(1, NEWEST + 1))
    # The URL is signed for a request without a type; S3 refuses any type.
    assert cloudformation.headers[0]["Content-Type"] == ""


def test_create_on_a_restored_database_changes_nothing(send, empty):
    send("Create", database=empty)
    assert send("Create", database=empty)["Status"] == "SUCCESS"
    assert versions(empty) == list(range(1, NEWEST + 1))


def test_update_applies_new_migrations_and_keeps_the_resource(send, empty):
    answer = send(
        "Update",
        database=empty,
        OldResourceProperties={"SchemaVersion": str(NEWEST - 1)},
        PhysicalResourceId="qr-codes-schema",
    )
    assert (answer["Status"], answer["PhysicalResourceId"]) == (
        "SUCCESS",
        "qr-codes-schema",
    )
    assert versions(empty) == list(range(1, NEWEST + 1))


def test_rollback_keeps_the_newer_schema_and_needs_no_database(send):
    answer = send(
        "Update",
        database=UNREACHABLE,
        OldResourceProperties={"SchemaVersion": str(NEWEST + 1)},
    )
    assert answer["Status"] == "SUCCESS"


def test_delete_changes_nothing_and_needs_no_database(
    send, empty, tmp_path, monkeypatch
):
    send("Create", database=empty)
    monkeypatch.setattr(migrate, "FOLDER", tmp_path)  # without a migration
    # The id that CloudFormation gives to a resource whose Create got no answer.
    answer = send("Delete", database=UNREACHABLE, PhysicalResourceId="qr-Schema-1A2B3C")
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "qr-Schema-1A2B3C"
    assert versions(empty) == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("version", [NEWEST - 1, NEWEST + 1, "", "newest"])
def test_a_template_with_another_version_fails_before_any_change(send, empty, version):
    answer = send("Create", version, database=empty)
    assert answer["Status"] == "FAILED"
    assert f"the newest migration is {NEWEST}" in answer["Reason"]
    with pytest.raises(psycopg2.errors.UndefinedTable):
        versions(empty)


def test_a_failed_connection_is_reported_without_the_password(send, log):
    answer = send(database=UNREACHABLE)
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"]
    assert "cannot connect to the database" in answer["Reason"]
    assert "Connection refused" in answer["Reason"]
    assert "the-password" not in f"{answer} {log()}"


def test_a_database_that_does_not_answer_is_reported_at_once(send, monkeypatch, log):
    monkeypatch.setattr("qr_service.stores.database.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        answer = send(database=f"postgresql://qr_admin@127.0.0.1:{port}/qrcodes")
    assert "PostgreSQL did not answer in time" in answer["Reason"]
    retries = [line for line in log() if line["message"] == "database does not answer"]
    assert retries == [], "only a login with a token is tried again"


def test_a_refused_login_names_the_role(send, servers):
    url = servers.postgresql.url("qr_admin")
    user, _, place = url.rpartition("@")
    answer = send(database=f"{user}-wrong@{place}")
    assert 'authentication failed for user "qr_admin"' in answer["Reason"]


def test_a_missing_variable_is_reported(send, empty, monkeypatch):
    monkeypatch.delenv("QR_BUCKET")
    answer = send(database=empty)
    assert answer["Status"] == "FAILED"
    assert "QR_BUCKET is not set" in answer["Reason"]


def test_a_failed_migration_is_reported_without_its_statement(
    send, empty, broken, log, capsys
):
    broken("CREATE TABLE one (); SELECT 'a value'::integer")
    answer = send(version=1, database=empty)
    assert answer["Status"] == "FAILED"
    assert "0001_broken failed" in answer["Reason"]
    assert "sqlstate: 22P02" in answer["Reason"]
    assert "a value" not in f"{answer} {log()}"
    assert '"Failures":[1.0]' in capsys.readouterr().out  # the metric
    assert versions(empty) == []


def test_an_unexpected_error_is_reported_by_its_class(cloudformation):
    def handler(event, context):
        raise KeyError("a value")

    ids = dict.fromkeys(("StackId", "RequestId", "LogicalResourceId"), "id")
    request = {"ResponseURL": cloudformation.url, **ids}
    result = custom_resource.answers_cloudformation(handler, "the-resource")(
        request, Context()
    )
    assert result == {"failed": "KeyError"}
    (answer,) = cloudformation.answers
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "KeyError")


def test_a_slow_migration_is_reported_before_the_timeout(send, empty, broken):
    broken("SELECT pg_sleep(10)")
    answer = send(
        version=1, database=empty, seconds=custom_resource.SPARE_SECONDS + 0.5
    )
    assert answer["Status"] == "FAILED"
    assert "0001_broken failed, TimeoutError" in answer["Reason"]


def test_the_wait_for_a_lock_ends_before_the_timeout(send, empty, broken):
    broken("SELECT 1")
    lock = sql.SQL("SELECT pg_advisory_lock({})").format(
        sql.Literal(migrate.migrations._LOCK)
    )
    with closing(psycopg2.connect(empty)) as other, other.cursor() as cursor:
        cursor.execute(lock)
        answer = send(
            version=1, database=empty, seconds=custom_resource.SPARE_SECONDS + 0.5
        )
    assert answer["Status"] == "FAILED"
    assert "TimeoutError" in answer["Reason"]


def test_a_long_reason_is_cut_to_cloudformations_limit(send, empty, monkeypatch):
    monkeypatch.setenv("DATABASE_AUTH", "\N{SNOWMAN}" * 5000)
    answer = send(database=empty)
    assert answer["Reason"].startswith("error: ConfigurationError")
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < 4096


def test_a_refused_answer_is_sent_again(send, empty, cloudformation):
    cloudformation.refusals = 2
    assert send(database=empty)["Status"] == "SUCCESS"
    assert (cloudformation.tries, len(cloudformation.answers)) == (3, 1)


def test_an_undelivered_answer_fails_the_invocation(send, empty, cloudformation, log):
    cloudformation.refusals = 10
    with pytest.raises(InvocationFailed) as raised:
        send(database=empty)
    assert cloudformation.tries == 3
    assert SIGNATURE not in f"{raised.value} {log()}"
    cloudformation.refusals = 0
    # Lambda retries the invocation.
    assert send(database=empty)["Status"] == "SUCCESS"


@pytest.fixture
def certificate(tmp_path):
    """Return a file with a key and a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(pem)
    )
    return file


def test_only_a_trusted_server_gets_the_answer(
    send, empty, cloudformation, certificate, monkeypatch
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    cloudformation.socket = context.wrap_socket(cloudformation.socket, server_side=True)
    cloudformation.url = cloudformation.url.replace("http:", "https:")
    with pytest.raises(InvocationFailed):
        send(database=empty)
    assert cloudformation.answers == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert send(database=empty)["Status"] == "SUCCESS"


def test_a_manual_run_sends_no_answer(send, empty, cloudformation):
    send(database=empty)
    answers = list(cloudformation.answers)
    result = migrate.handler({}, Context())
    assert result == {"applied": [], "schema_version": NEWEST}
    assert cloudformation.answers == answers
