"""Single objects over kept connections, on an S3 that checks signatures."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from qr_service.config import settings
from qr_service.errors import StorageUnavailable
from qr_service.stores.storage import Storage

from tests.support.functions import BUCKET

KEY = "codes/storage.png"


@pytest.fixture
def storage(functions, bucket):
    with closing(Storage(settings())) as opened:
        yield opened


def test_an_object_is_stored_with_its_type_and_deleted(storage, bucket):
    storage.put(KEY, b"\x89PNG body", "image/png")
    stored = bucket.client.get_object(Bucket=BUCKET, Key=KEY)
    assert stored["Body"].read() == b"\x89PNG body"
    assert stored["ContentType"] == "image/png"
    assert storage.get(KEY) == b"\x89PNG body"
    storage.delete(KEY)
    assert bucket.keys() == set()
    with pytest.raises(StorageUnavailable):
        storage.get(KEY)


def test_deleting_a_missing_object_is_no_error(storage):
    storage.delete("codes/missing.png")


def test_one_connection_serves_all_requests(storage):
    storage.put(KEY, b"one", "image/png")
    (connection,) = storage._idle
    storage.put(KEY, b"two", "image/png")
    assert storage.get(KEY) == b"two"
    assert storage._idle == [connection]


def test_requests_at_once_have_connections_of_their_own(storage, bucket):
    keys = [f"codes/{number}.png" for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda key: storage.put(key, b"one", "image/png"), keys))
    assert bucket.keys() == {*keys}
    assert 1 <= len(storage._idle) <= 4


def test_a_connection_lost_while_frozen_is_replaced(storage, servers, bucket):
    storage.put(KEY, b"one", "image/png")
    servers.s3.kill()
    servers.s3.start()
    storage.put(KEY, b"two", "image/png")
    assert bucket.keys() == {KEY}


@pytest.mark.parametrize(
    "wrong",
    [{"qr_bucket": "no-such-bucket"}, {"s3_endpoint_url": "http://127.0.0.1:1"}],
)
def test_a_missing_bucket_or_server_raises_storage_unavailable(storage, wrong):
    with closing(Storage(replace(settings(), **wrong))) as other:
        for request in (lambda: other.put(KEY, b"", ""), lambda: other.delete(KEY)):
            with pytest.raises(StorageUnavailable):
                request()


def test_a_refused_signature_raises_storage_unavailable(storage, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another secret key")
    with pytest.raises(StorageUnavailable):
        storage.put(KEY, b"one", "image/png")


def test_a_server_that_does_not_answer_is_not_tried_again(
    storage, servers, monkeypatch, log
):
    monkeypatch.setattr("qr_service.stores.storage.TIMEOUT", 0.3)
    os.kill(servers.s3.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StorageUnavailable):
            storage.put(KEY, b"one", "image/png")
    finally:
        os.kill(servers.s3.pid, signal.SIGCONT)
    assert [line["error"] for line in log()] == ["TimeoutError"]
