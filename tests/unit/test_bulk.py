import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from qr_service.errors import StorageUnavailable
from qr_service.stores.bulk import BulkStorage


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


def test_only_the_given_keys_are_deleted(settings, bucket):
    deletion = BulkStorage(settings)
    for name in "abc":
        bucket.put_object(Key=f"codes/{name}.png", Body=b"png")
    wanted = ["codes/a.png", "codes/b.png", "codes/missing.png"]
    assert deletion.delete(wanted) == set(wanted)
    assert keys(bucket) == {"codes/c.png"}


def test_a_missing_bucket_raises_storage_unavailable(settings):
    with mock_aws():
        deletion = BulkStorage(settings)
        with pytest.raises(StorageUnavailable):
            deletion.delete(["codes/a.png"])


def test_errors_inside_a_successful_response_are_read(settings):
    deletion = BulkStorage(settings)
    with Stubber(deletion._client) as stub:
        stub.add_response(
            "delete_objects",
            {"Errors": [{"Key": "codes/b.png", "Code": "AccessDenied"}]},
        )
        assert deletion.delete(["codes/a.png", "codes/b.png"]) == {"codes/a.png"}
