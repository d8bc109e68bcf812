"""CodeDeploy's pre-traffic hook: new versions are called before any client calls them.

It uses neither the layers, so that it finds a broken one, nor the network of the other
functions, from which the APIs of Lambda and CodeDeploy cannot be reached. Source:
"AppSpec 'hooks' section for an AWS Lambda deployment" (AWS CodeDeploy user guide).
"""

import json
import os
from typing import Any

import boto3
from botocore.config import Config

# A function answers within its 29 s. Of the two tries, the second is for throttling.
LAMBDA = Config(
    connect_timeout=5,
    read_timeout=35,
    retries={"mode": "standard", "total_max_attempts": 2},
)
CODEDEPLOY = Config(
    connect_timeout=5,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
)
UNKNOWN = "00000000-0000-4000-8000-000000000000"  # the id of no code
NEVER_DRAWN = "00000000"  # a slug, one of 2^40


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """Return and report whether the new versions work; event: CodeDeploy's, or any.

    Raises botocore's ClientError or BotoCoreError only if it cannot report. Then the
    deployment fails after an hour.
    """
    faults = {
        name: found
        for name, request, status in (
            ("GENERATE_VERSION", dry_run(), 200),
            ("RETRIEVE_VERSION", get("/retrieve/{qr_id}", qr_id=UNKNOWN), 404),
            ("REDIRECT_VERSION", get("/s/{slug}", slug=NEVER_DRAWN), 404),
            ("MANAGE_VERSION", get("/codes/{qr_id}", qr_id=UNKNOWN), 404),
            ("PAGES_VERSION", proxy_event("GET", "/docs", "/docs"), 200),
        )
        if (found := fault(os.environ[name], request, status))
    }
    result = {"status": "Failed" if faults else "Succeeded", "faults": faults}
    print(json.dumps({"message": "verified", **result}))  # noqa: T201  the log
    if "DeploymentId" in event:
        boto3.client(
            "codedeploy", config=CODEDEPLOY
        ).put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status=result["status"],
        )
    return result


def fault(version: str, request: dict[str, Any], status: int) -> str:
    """Return why a version does not answer a request with a status; "" if it does."""
    try:
        client: Any = boto3.client("lambda", config=LAMBDA)
        invoked = client.invoke(FunctionName=version, Payload=json.dumps(request))
        answer = json.load(invoked["Payload"])
        if "FunctionError" in invoked:
            return f"{version}: {answer['errorType']}"
        if answer["statusCode"] == status:
            return ""
        code = json.loads(answer["body"]).get("code")
    except Exception as error:  # noqa: BLE001  any error: CodeDeploy is waiting
        return f"{version}: {type(error).__name__}: {error}"
    return f"{version}: {answer['statusCode']} {code} instead of {status}"


def dry_run() -> dict[str, Any]:
    """Return the event of a POST /generate that makes a code and stores nothing."""
    event = proxy_event("POST", "/generate", "/generate")
    event["multiValueQueryStringParameters"] = {"dry_run": ["true"]}
    event["body"] = json.dumps({"data": "https://example.com/"})
    return event


def get(resource: str, **parameters: str) -> dict[str, Any]:
    """Return the event of a GET of a path with these parameters."""
    event = proxy_event("GET", resource, resource.format(**parameters))
    event["pathParameters"] = parameters
    return event


def proxy_event(method: str, resource: str, path: str) -> dict[str, Any]:
    """Return what the functions read of API Gateway's proxy event."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "requestContext": {
            "requestId": "verify",
            "stage": "verify",
            "path": path,
            "domainName": "localhost",
            "identity": {},
        },
        "body": None,
        "isBase64Encoded": False,
    }
