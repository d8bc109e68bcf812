"""Logins to the database and the cache on AWS: with a token, over verified TLS."""

import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from qr_service import config
from qr_service.stores import cache, database
from qr_service.telemetry import SafeError


@pytest.fixture
def on_aws(settings):
    return replace(
        settings,
        database_url="postgresql://qr_app@db.example.com:5432/qrcodes",
        database_auth="iam",
        redis_host="cache.example.com",
        redis_port=6379,
        redis_tls=True,
        redis_auth="iam",
        redis_username="qr-app",
        redis_cache_name="qr-cache",
        ca_bundle="/opt/python/qr_service/ca-bundle.pem",
    )


def parameters(token):
    url = urlsplit(f"https://{token}")
    return url.netloc, {k: v for k, [v] in parse_qs(url.query).items()}


def test_the_database_gets_a_token_and_its_certificate_is_verified(on_aws, monkeypatch):
    used = {}
    monkeypatch.setattr(
        psycopg2, "connect", lambda url, **options: used.update(options, url=url)
    )
    database.connect(on_aws)
    assert used["url"] == on_aws.database_url
    assert used["sslmode"] == "verify-full"
    assert used["sslrootcert"] == on_aws.ca_bundle
    host, token = parameters(used["password"])
    assert host == "db.example.com:5432"
    assert (token["Action"], token["DBUser"]) == ("connect", "qr_app")
    assert "/eu-west-1/rds-db/" in token["X-Amz-Credential"]
    assert token["X-Amz-Expires"] == "900"


class Refusals:
    """A stand-in for psycopg2.connect that succeeds after some refusals."""

    def __init__(self, count):
        self.count, self.tokens = count, []

    def __call__(self, _, **options):
        self.tokens.append(options["password"])
        if len(self.tokens) <= self.count:
            raise psycopg2.OperationalError("PAM authentication failed")
        return "a connection"


class Clock:
    """A stand-in for the module time: only sleeping moves the clock."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(database, "time", clock)
    return clock


def test_connecting_is_retried_until_a_new_role_is_known(on_aws, monkeypatch, clock):
    monkeypatch.setattr(psycopg2, "connect", refusals := Refusals(2))
    assert database.connect_with_retries(on_aws, lambda: 270) == "a connection"
    assert (len(refusals.tokens), clock.now) == (3, 6)


@pytest.mark.parametrize(("seconds_left", "tries"), [(270, 21), (11, 3), (0, 1)])
def test_an_unknown_role_is_reported_after_a_minute_or_in_time(
    on_aws, monkeypatch, clock, seconds_left, tries
):
    monkeypatch.setattr(psycopg2, "connect", refusals := Refusals(1000))
    with pytest.raises(
        SafeError, match="cannot connect to the database: PAM authentication failed"
    ):
        database.connect_with_retries(on_aws, lambda: seconds_left)
    assert len(refusals.tokens) == tries


def test_a_password_stays_in_the_url(settings, monkeypatch):
    used = {}
    monkeypatch.setattr(psycopg2, "connect", lambda _, **options: used.update(options))
    database.connect(settings)
    assert "password" not in used
    assert "sslmode" not in used


@pytest.mark.parametrize(
    ("cluster", "client"),
    [(False, "redis.Redis"), (True, f"{cache.__name__}._Cluster")],
)
def test_the_cache_gets_a_token_and_its_certificate_is_verified(
    on_aws, monkeypatch, cluster, client
):
    used = {}
    monkeypatch.setattr(client, lambda **options: used.update(options))
    cache._connect(replace(on_aws, redis_cluster=cluster))
    assert used["ssl"] is True
    assert used["ssl_ca_certs"] == on_aws.ca_bundle
    assert used["socket_timeout"] == used["socket_connect_timeout"] == 1
    assert used["retry"].get_retries() == 0
    user, password = used["credential_provider"].get_credentials()
    host, token = parameters(password)
    assert (user, host) == ("qr-app", "qr-cache")
    assert token["User"] == "qr-app"
    assert token["ResourceType"] == "ServerlessCache"
    assert "/eu-west-1/elasticache/" in token["X-Amz-Credential"]


def test_the_shipped_ca_bundle_can_be_loaded():
    bundle = Path(config.__file__).parent / "ca-bundle.pem"
    authorities = ssl.create_default_context(cafile=bundle).get_ca_certs()
    names = [dict(part[0] for part in each["subject"]) for each in authorities]
    assert any(name["commonName"] == "Amazon Root CA 1" for name in names)
    assert any("RDS eu-west-1 Root CA RSA2048" in str(name) for name in names)
