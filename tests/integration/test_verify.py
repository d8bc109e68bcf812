"""The pre-traffic hook: versions that work and versions that do not.

Lambda is the handlers in this process, and CodeDeploy a list of what it received.
"""

import io
import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

import functions.verify.app as verify
from tests.support.gateway import Context, event

DEPLOYMENT = event("verify/pre_traffic")
DENIED = ClientError({"Error": {"Code": "AccessDenied"}}, "Invoke")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://lambda")


class Lambda:
    """Versions by name, each a handler, an answer or an error."""

    def __init__(self, versions):
        self.versions = versions

    def invoke(self, FunctionName, Payload):  # noqa: N803  the names of boto3
        version = self.versions[FunctionName]
        if isinstance(version, Exception):
            raise version
        failed = {}
        if callable(version):
            answer = version(json.loads(Payload), Context())
        else:
            answer = version
            failed = {"FunctionError": "Unhandled"} if "errorType" in version else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}


class CodeDeploy:
    """Keeps what it receives."""

    def __init__(self):
        self.received = []

    def put_lifecycle_event_hook_execution_status(self, **given):
        self.received.append(given)


@pytest.fixture
def aws(monkeypatch, functions):
    """Return Lambda and CodeDeploy; the versions are those of this release."""
    clients = {
        "lambda": Lambda(
            {
                "generate:2": functions.generate,
                "retrieve:7": functions.retrieve,
                "redirect:4": functions.redirect,
                "manage:5": functions.manage,
                "pages:3": functions.pages,
            }
        ),
        "codedeploy": CodeDeploy(),
    }
    boto3 = SimpleNamespace(client=lambda name, **_: clients[name])
    monkeypatch.setattr(verify, "boto3", boto3)
    monkeypatch.setenv("GENERATE_VERSION", "generate:2")
    monkeypatch.setenv("RETRIEVE_VERSION", "retrieve:7")
    monkeypatch.setenv("REDIRECT_VERSION", "redirect:4")
    monkeypatch.setenv("MANAGE_VERSION", "manage:5")
    monkeypatch.setenv("PAGES_VERSION", "pages:3")
    return clients


def test_versions_that_work_get_traffic(aws, bucket):
    before = bucket.keys()
    result = verify.handler(DEPLOYMENT, Context())
    assert result == {"status": "Succeeded", "faults": {}}
    assert aws["codedeploy"].received == [
        {
            "deploymentId": DEPLOYMENT["DeploymentId"],
            "lifecycleEventHookExecutionId": DEPLOYMENT[
                "LifecycleEventHookExecutionId"
            ],
            "status": "Succeeded",
        }
    ]
    assert bucket.keys() == before  # a dry run stores nothing


@pytest.mark.parametrize(
    "name", ["generate:2", "retrieve:7", "redirect:4", "manage:5", "pages:3"]
)
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"errorType": "Runtime.ImportModuleError"}, "Runtime.ImportModuleError"),
        ({"statusCode": 503, "body": '{"code": "unavailable"}'}, "503 unavailable"),
        ({"statusCode": 201, "body": "{}"}, "201 None instead of"),
        ({"statusCode": 502, "body": "not JSON"}, "JSONDecodeError"),
        ({}, "KeyError: 'statusCode'"),
        (DENIED, "AccessDenied"),
        (UNREACHABLE, "Could not connect"),
    ],
)
def test_a_version_that_does_not_work_gets_no_traffic(aws, name, broken, reason):
    aws["lambda"].versions[name] = broken
    result = verify.handler(DEPLOYMENT, Context())
    assert result["status"] == "Failed"
    (found,) = result["faults"].values()
    assert found.startswith(f"{name}: ")
    assert reason in found
    assert [each["status"] for each in aws["codedeploy"].received] == ["Failed"]


def test_without_a_database_nothing_gets_traffic(aws, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://qr_app:x@127.0.0.1:1/qrcodes")
    result = verify.handler(DEPLOYMENT, Context())
    assert "503 unavailable" in result["faults"]["RETRIEVE_VERSION"]


def test_invoked_by_hand_it_only_answers(aws):
    assert verify.handler({}, Context())["status"] == "Succeeded"
    assert aws["codedeploy"].received == []


def test_a_status_that_cannot_be_sent_is_an_error_of_the_function(aws, monkeypatch):
    def refuse(**_):
        raise DENIED

    monkeypatch.setattr(
        aws["codedeploy"], "put_lifecycle_event_hook_execution_status", refuse
    )
    with pytest.raises(ClientError):
        verify.handler(DEPLOYMENT, Context())


def test_the_log_has_the_reason_and_no_payload(aws, capsys):
    aws["lambda"].versions["generate:2"] = {"statusCode": 500, "body": '{"code": "x"}'}
    verify.handler(DEPLOYMENT, Context())
    line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(line) == {
        "message": "verified",
        "status": "Failed",
        "faults": {"GENERATE_VERSION": "generate:2: 500 x instead of 200"},
    }
