import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from qr_service.errors import StorageUnavailable
from qr_service.storage import Storage


@pytest.fixture
def bucket(settings):
    with mock_aws():
        s3 = boto3.resource("s3", region_name=settings.aws_region)
        yield s3.create_bucket(
            Bucket=settings.qr_bucket,
            CreateBucketConfiguration={"LocationConstraint": settings.aws_region},
        )


def keys(bucket):
    return {found.key for found in bucket.objects.all()}


def test_puts_body_and_type(settings, bucket):
    Storage(settings).put("codes/a.png", b"png", "image/png")
    stored = bucket.Object("codes/a.png").get()
    assert stored["Body"].read() == b"png"
    assert stored["ContentType"] == "image/png"


def test_deletes_what_it_is_told_and_nothing_else(settings, bucket):
    storage = Storage(settings)
    for name in "abc":
        storage.put(f"codes/{name}.png", b"png", "image/png")
    wanted = ["codes/a.png", "codes/b.png", "codes/never-there.png"]
    assert storage.delete(wanted) == set(wanted)
    assert keys(bucket) == {"codes/c.png"}


def test_a_missing_bucket_is_unavailable(settings):
    with mock_aws():
        storage = Storage(settings)
        with pytest.raises(StorageUnavailable):
            storage.put("codes/a.png", b"png", "image/png")
        with pytest.raises(StorageUnavailable):
            storage.delete(["codes/a.png"])


def test_the_errors_inside_a_successful_answer_are_read(settings):
    storage = Storage(settings)
    with Stubber(storage._client) as stub:
        stub.add_response(
            "delete_objects",
            {"Errors": [{"Key": "codes/b.png", "Code": "AccessDenied"}]},
        )
        assert storage.delete(["codes/a.png", "codes/b.png"]) == {"codes/a.png"}
