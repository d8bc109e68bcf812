"""Presigned URLs and tokens equal those of botocore, signature included."""

import random
import string
from datetime import UTC, datetime
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from qr_service.config import ConfigurationError
from qr_service.stores.sigv4 import EMPTY_PAYLOAD, Credentials, presign

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


def botocore_presign(signer, url, credentials, **scope):
    request = AWSRequest(scope.get("method", "GET"), url)
    boto = BotoCredentials(
        credentials.access_key, credentials.secret_key, credentials.token
    )
    with mock.patch.object(auth, "get_current_datetime", return_value=NOW):
        signer(
            boto, scope["service"], scope["region"], expires=scope["expires"]
        ).add_auth(request)
    return request.url


def query(url):
    return sorted(parse_qsl(urlsplit(url).query, strict_parsing=True))


def some_text(rng, length):
    return "".join(rng.choices(string.ascii_letters + "-_.~ /=+%&é日", k=length))


@pytest.mark.parametrize("seed", range(100))
def test_object_urls_are_signed_as_botocore_signs_them(seed):
    rng = random.Random(seed)
    credentials = Credentials(
        "AKID", some_text(rng, 40), rng.choice([None, some_text(rng, 100)])
    )
    host = rng.choice(["bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:4566"])
    path = f"/codes/{some_text(rng, 12).replace('/', '')}.png"
    parameters = {"response-content-disposition": some_text(rng, 20)}
    region = rng.choice(["eu-west-1", "us-east-1"])
    expires = rng.randint(1, 900)
    method = rng.choice(["GET", "PUT", "DELETE"])
    ours = presign(
        method,
        host,
        path,
        parameters,
        service="s3",
        region=region,
        credentials=credentials,
        now=NOW,
        expires=expires,
    )
    unsigned = ours.split("&X-Amz-Signature=")[0]
    bare = "&".join(
        part
        for part in unsigned.partition("?")[2].split("&")
        if part.startswith("response-")
    )
    theirs = botocore_presign(
        auth.S3SigV4QueryAuth,
        f"https://{unsigned.partition('?')[0]}?{bare}",
        credentials,
        method=method,
        service="s3",
        region=region,
        expires=expires,
    )
    assert query(f"https://{ours}") == query(theirs)


@pytest.mark.parametrize(
    ("service", "host", "parameters"),
    [
        ("rds-db", "db.example.com:5432", {"Action": "connect", "DBUser": "qr_app"}),
        (
            "elasticache",
            "qr-cache",
            {"Action": "connect", "User": "qr-app", "ResourceType": "ServerlessCache"},
        ),
    ],
)
def test_tokens_are_signed_as_botocore_signs_them(service, host, parameters):
    credentials = Credentials("AKID", "secret", "token/+=")
    ours = presign(
        "GET",
        host,
        "/",
        parameters,
        service=service,
        region="eu-west-1",
        credentials=credentials,
        now=NOW,
        expires=900,
        payload=EMPTY_PAYLOAD,
    )
    bare = "&".join(f"{name}={value}" for name, value in parameters.items())
    theirs = botocore_presign(
        auth.SigV4QueryAuth,
        f"https://{host}/?{bare}",
        credentials,
        service=service,
        region="eu-west-1",
        expires=900,
    )
    assert query(f"https://{ours}") == query(theirs)


def test_credentials_come_from_the_environment_and_are_not_shown():
    environ = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hidden"}
    credentials = Credentials.from_env({**environ, "AWS_SESSION_TOKEN": ""})
    assert credentials.token is None
    assert "hidden" not in f"{credentials!r} {credentials}"


def test_missing_credentials_are_named():
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        Credentials.from_env({"AWS_ACCESS_KEY_ID": "AKID"})
