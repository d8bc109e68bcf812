"""Where `make smoke STAGE=...` finds the API and its key."""

import boto3
import pytest
from botocore.stub import Stubber

from checks.smoke import SmokeError, deployed, stack_name

STACK = {
    "StackName": "qr-codes-prod",
    "CreationTime": "2026-01-01T00:00:00Z",
    "StackStatus": "ROLLBACK_COMPLETE",
}
OUTPUTS = {"ApiUrl": "https://api.example.com", "ApiKeyId": "k1"}


@pytest.fixture
def aws(monkeypatch):
    """Return stubs of the two services that are called, by name."""
    clients = {
        name: boto3.client(
            name,
            region_name="eu-central-1",
            aws_access_key_id="AKID",
            aws_secret_access_key="secret",
        )
        for name in ("cloudformation", "apigateway")
    }
    monkeypatch.setattr(boto3, "client", clients.get)
    stubs = {name: Stubber(client) for name, client in clients.items()}
    for stub in stubs.values():
        stub.activate()
    return stubs


def test_url_and_key_come_from_the_stack(aws):
    outputs = [{"OutputKey": k, "OutputValue": v} for k, v in OUTPUTS.items()]
    stack = {**STACK, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
    aws["cloudformation"].add_response(
        "describe_stacks", {"Stacks": [stack]}, {"StackName": "qr-codes-prod"}
    )
    aws["apigateway"].add_response(
        "get_api_key", {"value": "the key"}, {"apiKey": "k1", "includeValue": True}
    )
    assert deployed("qr-codes-prod") == ("https://api.example.com", "the key")


def test_a_missing_stack_is_reported(aws):
    aws["cloudformation"].add_client_error("describe_stacks", "ValidationError", "none")
    with pytest.raises(SmokeError, match="the stack qr-codes-prod cannot be read"):
        deployed("qr-codes-prod")


def test_a_failed_stack_is_reported(aws):
    aws["cloudformation"].add_response("describe_stacks", {"Stacks": [STACK]})
    with pytest.raises(SmokeError, match="qr-codes-prod has no outputs"):
        deployed("qr-codes-prod")


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_samconfig_names_the_stack_of_a_stage(stage):
    assert stack_name(stage) == f"qr-codes-{stage}"


def test_an_unknown_stage_is_reported():
    with pytest.raises(SmokeError, match="no stage 'test'"):
        stack_name("test")
