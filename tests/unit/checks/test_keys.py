"""API keys of a stage, against stand-ins for AWS."""

import io
import json

import pytest
from botocore.exceptions import ClientError

from checks import keys


class AWS:
    """The clients of three services; each notes what it was sent."""

    def __init__(self, answers=()):
        self.sent = []
        self.keys = [{"name": "shopkeeper"}]
        self.answers = iter(answers)

    def __call__(self, service):
        return self

    def describe_stack_resource(self, **given):
        name = f"{given['StackName']}-{given['LogicalResourceId']}"
        return {"StackResourceDetail": {"PhysicalResourceId": name}}

    def get_api_keys(self, **given):
        return {"items": self.keys}

    def create_api_key(self, **given):
        self.sent.append(given)
        return {"id": "k1", "value": "secret"}

    def create_usage_plan_key(self, **given):
        self.sent.append(given)

    def delete_api_key(self, **given):
        self.sent.append(given)

    def invoke(self, **given):
        self.sent.append(json.loads(given["Payload"]))
        answer, failed = next(self.answers)
        payload = io.BytesIO(json.dumps(answer).encode())
        return {
            "Payload": payload,
            **({"FunctionError": "Unhandled"} if failed else {}),
        }


def test_a_key_is_created_in_the_plan_of_the_stack():
    aws = AWS()
    assert keys.create(aws, "qr-codes-dev", "shop") == ("k1", "secret")
    plan = {
        "usagePlanId": "qr-codes-dev-ApiUsagePlan",
        "keyId": "k1",
        "keyType": "API_KEY",
    }
    assert aws.sent == [{"name": "shop", "enabled": True}, plan]


def test_a_name_that_is_taken_creates_nothing():
    aws = AWS()
    aws.keys.append({"name": "shop"})
    with pytest.raises(keys.KeysError, match="already"):
        keys.create(aws, "qr-codes-dev", "shop")
    assert aws.sent == []


def test_a_key_that_gets_no_plan_is_deleted(monkeypatch):
    aws = AWS()
    refusal = ClientError({"Error": {"Code": "LimitExceeded"}}, "CreateUsagePlanKey")

    def refuse(**_):
        raise refusal

    monkeypatch.setattr(aws, "create_usage_plan_key", refuse)
    with pytest.raises(ClientError, match="LimitExceeded"):
        keys.create(aws, "qr-codes-dev", "shop")
    assert aws.sent[-1] == {"apiKey": "k1"}


def test_a_transfer_goes_on_until_it_is_complete(capsys):
    answers = [({"done": 500, "complete": False}, False)] * 2
    aws = AWS([*answers, ({"done": 7, "complete": True}, False)])
    keys.transfer(aws, "qr-codes-dev", "k1", "k2")
    assert aws.sent == [{"transfer": {"from": "k1", "to": "k2"}}] * 3
    assert capsys.readouterr().out.splitlines()[-1] == "1007 codes of k1 belong to k2"


def test_a_failed_transfer_says_why():
    aws = AWS([({"errorMessage": "error: SafeError"}, True)])
    with pytest.raises(keys.KeysError, match="SafeError"):
        keys.transfer(aws, "qr-codes-dev", "k1", "k1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stage", "nowhere", "create", "shop"], "no stage 'nowhere'"),
        (["--stage", "dev", "create", "shop"], "AccessDenied"),
    ],
)
def test_a_failure_is_one_line(monkeypatch, capsys, arguments, message):
    def refuse(*_, **__):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetApiKeys")

    monkeypatch.setattr(keys.boto3, "client", refuse)
    monkeypatch.setattr("sys.argv", ["make key", *arguments])
    assert keys.main() == 1
    assert message in capsys.readouterr().err
