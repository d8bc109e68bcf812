"""MiniStack as the rehearsal's AWS: python -m rehearsal.ministack SETTINGS.json.

It runs in MiniStack's own environment, and depends on internals of its pinned version.
It adds what MiniStack lacks:

- AWS::RDS::DBInstance takes one of the rehearsal's PostgreSQL servers. It creates its
  database and its master user there, with the settings of its parameter group (a
  setting that needs a restart is only checked). PostgreSQL checks tokens over LDAP. A
  token must have a valid signature and age, and its signer must have the right to
  rds-db:connect. A protected instance cannot be deleted.
- AWS::RDS::DBProxy is the same PostgreSQL, for all users but the master. The signer
  needs the right to connect to the proxy, and the proxy's role the right to connect to
  the database.
- AWS::ElastiCache::ServerlessCache takes one of the rehearsal's Redis servers, and adds
  the users of its group to it, with their access strings. Redis cannot check tokens and
  accepts any. Instead, a step of the rehearsal checks the right to elasticache:Connect
  with IAM.
- A request's event has the id of its API key.
- The gateway's own answers (403, 429 and so on) are those of the API's OpenAPI body.
- CodeDeploy keeps what a hook reports about a deployment. Each deployment is of the
  newest group, and shifts no traffic: an alias moves at once.
- A role has the permissions boundary that the template gives it, and the name of a
  function is not given twice.
- Functions run in an environment that contains only boto3. Their sessions expire, and
  a custom resource must answer within a minute. The rehearsal sets the S3 endpoint and
  the trusted authorities, the template all other variables.

Security group rules are accepted without any effect, so nothing is proven about them.
MiniStack itself only records networks, alarms, dashboards and the retention of logs.
"""
# ruff: noqa: SLF001  there is no public way to add a type to MiniStack
# mypy: disable-error-code="import-not-found"

import asyncio
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hypercorn.config import Config
from ministack import app
from ministack.core import (
    iam_actions,
    iam_evaluator,
    lambda_runtime,
    rds_iam,
    router,
)
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import (
    apigateway_v1,
    cloudformation,
    elasticache,
    iam,
    lambda_svc,
    rds,
    sts,
)
from ministack.services.cloudformation import custom_resource, provisioners

from rehearsal import ldap_tokens

SETTINGS = json.loads(Path(sys.argv[1]).read_text())
HANDLERS = provisioners._RESOURCE_HANDLERS
# Variables that the rehearsal sets, even if the template sets them.
OURS = {"CA_BUNDLE", "S3_ENDPOINT_URL"}
CUSTOM_RESOURCE_TIMEOUT = "60"  # seconds
# By name, which is that of its database: its resource id, its role's ARN, and its
# target once that exists.
PROXIES: dict[str, dict[str, str]] = {}
# By database, its server: the command of psql, and the ports of PostgreSQL and LDAP.
SERVERS: dict[str, dict[str, Any]] = {}
# By name, its server: the port, the command of redis-cli, and its password.
CACHES: dict[str, dict[str, Any]] = {}

Properties = dict[str, Any]
Created = tuple[str, dict[str, str]]  # a resource's physical id and its attributes


def psql(instance: str, script: str, /, **variables: str) -> None:
    """Run a script as PostgreSQL's superuser; its variables are :"name" and :'name'."""
    command = [*SERVERS[instance]["psql"], "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
    command += [f"--set={name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        command, input=script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(f"PostgreSQL refused: {done.stderr.strip()}")


def redis(name: str, *command: str) -> None:
    """Run a command as a cache's administrator."""
    cache = CACHES[name]
    done = subprocess.run(
        [*cache["redis_cli"], *command],
        env={**os.environ, "REDISCLI_AUTH": cache["password"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout.strip() != "OK":
        raise ValueError(f"Redis refused: {done.stdout.strip()} {done.stderr.strip()}")


# -------------------------------------------------------------------------- database

_create_instance = HANDLERS["AWS::RDS::DBInstance"]["create"]
_delete_instance = HANDLERS["AWS::RDS::DBInstance"]["delete"]
_MASTER = """
    CREATE ROLE rds_iam;
    CREATE ROLE :"master" LOGIN CREATEROLE CREATEDB;
    GRANT rds_iam TO :"master" WITH ADMIN OPTION;
    CREATE DATABASE :"database" OWNER :"master";
"""


def create_instance(logical_id: str, properties: Properties, stack: str) -> Created:
    """Create database, master and settings; the endpoint is the rehearsal's server."""
    if properties.get("MasterUserAuthenticationType") != "iam-db-auth":
        raise ValueError("The master user must log in with a token: iam-db-auth")
    name, _ = _create_instance(logical_id, properties, stack)
    instance = rds._instances[name]
    SERVERS[name] = SETTINGS["databases"][len(SERVERS)]
    instance["Endpoint"].update(Address=SETTINGS["host"], Port=SERVERS[name]["port"])
    names = {"master": properties["MasterUsername"], "database": properties["DBName"]}
    psql(name, _MASTER, **names)
    group = rds._param_groups[properties["DBParameterGroupName"]]
    for parameter, given in group["Parameters"].items():
        if not parameter.startswith("rds."):  # RDS's own; TLS is required anyway
            value = given["ParameterValue"]
            script = "ALTER SYSTEM SET :\"name\" = :'value';"
            psql(name, script, name=parameter, value=value)
    psql(name, "SELECT pg_reload_conf();")
    return name, provisioners._rds_db_instance_attrs(instance)


def delete_instance(name: str, properties: Properties) -> None:
    """Delete an instance that is not protected against it."""
    if rds._instances[name]["DeletionProtection"]:
        raise ValueError(f"{name} is protected against deletion")
    _delete_instance(name, properties)


def create_proxy(_logical_id: str, properties: Properties, _stack: str) -> Created:
    """Create a second address of the database, with its own id for IAM rights."""
    if properties["DefaultAuthScheme"] != "IAM_AUTH" or not properties["RequireTLS"]:
        raise ValueError("The proxy must require a token and TLS")
    name, number = properties["DBProxyName"], f"prx-{secrets.token_hex(8)}"
    PROXIES[name] = {"id": number, "role": properties["RoleArn"]}
    return name, {
        "DBProxyArn": (
            f"arn:aws:rds:{get_region()}:{get_account_id()}:db-proxy:{number}"
        ),
        "Endpoint": SETTINGS["host"],
    }


def create_proxy_targets(
    logical_id: str, properties: Properties, stack: str
) -> Created:
    """Accept targets that exist; before, the proxy accepts no login."""
    (target,) = properties["DBInstanceIdentifiers"]
    if target not in rds._instances:
        raise ValueError(f"Unknown database instance: {target}")
    PROXIES[properties["DBProxyName"]]["target"] = target
    return accept(logical_id, properties, stack)


def refusal(database: str, user: str, token: str) -> str:
    """Return why a user may not log in with a token; "" if they may."""
    ((account, region, _), instance) = next(
        item for item in rds._instances.all_items() if item[0][2] == database
    )
    if not instance["IAMDatabaseAuthenticationEnabled"]:
        return "the instance accepts no tokens"
    found = rds_iam.verify_rds_iam_token(
        token,
        hostname=instance["Endpoint"]["Address"],
        port=instance["Endpoint"]["Port"],
        db_user=user,
        region=region,
        account_id=account,
    )
    if isinstance(found, rds_iam.RdsIamTokenError):
        return str(found.code)
    with request_scope(account, region):
        signer = iam_evaluator.resolve_principal(found.access_key_id, account)
        required = [(signer, instance["DbiResourceId"])]
        proxy = PROXIES.get(database)
        if proxy and user != instance["MasterUsername"]:
            if "target" not in proxy:
                return "the proxy has no target yet"
            name = proxy["role"].rpartition("/")[2]
            policies = iam_evaluator._gather_role_policies(name, account)
            itself = iam_evaluator.PrincipalInfo(
                proxy["role"], "AssumedRole", account, policies
            )
            required = [(signer, proxy["id"]), (itself, instance["DbiResourceId"])]
        for who, resource in required:
            request = iam_evaluator.EvalContext(
                principal_arn=who.arn,
                principal_type=who.type,
                principal_account=account,
                action="rds-db:connect",
                resource_arn=f"arn:aws:rds-db:{region}:{account}:dbuser:{resource}/{user}",
                region=region,
                principal_keys=who.keys,
            )
            result = iam_evaluator.evaluate(request, who.policies, *who.limits)
            if result.decision != "Allow":
                return f"{who.arn}, rds-db:connect to {resource}: {result.decision}"
    return ""


def verdict(ldap_port: int, user: str, token: str) -> str:
    """Log and return why a user may not log in; an error here is a refusal, too."""
    try:
        (database,) = (
            name for name, server in SERVERS.items() if server["ldap_port"] == ldap_port
        )
        reason = refusal(database, user, token)
    except Exception as error:  # noqa: BLE001  PostgreSQL waits for an answer
        reason = repr(error)
    print(f"login of {user}: {reason or 'granted'}", flush=True)
    return reason


# ----------------------------------------------------------------------------- cache


def create_cache(_logical_id: str, properties: Properties, _stack: str) -> Created:
    """Add the users of the cache's group; the endpoint is the rehearsal's server."""
    name = properties["ServerlessCacheName"]
    CACHES[name] = SETTINGS["caches"][len(CACHES)]
    for user_id in elasticache._user_groups[properties["UserGroupId"]]["UserIds"]:
        user = elasticache._users[user_id]
        rights = user["AccessString"].split()
        redis(name, "ACL", "SETUSER", user["UserName"], "reset", "nopass", *rights)
    owner = f"{get_region()}:{get_account_id()}"
    return name, {
        "ARN": f"arn:aws:elasticache:{owner}:serverlesscache:{name}",
        "Endpoint.Address": SETTINGS["host"],
        "Endpoint.Port": str(CACHES[name]["port"]),
    }


def accept(logical_id: str, _properties: Properties, stack: str) -> Created:
    """Accept a resource, which is then only a name."""
    return f"{stack}-{logical_id}", {}


def accept_update(
    physical_id: str, _old: Properties, _new: Properties, _stack: str
) -> Created:
    """Accept an update without any effect."""
    return physical_id, {}


def accept_deletion(_physical_id: str, _properties: Properties) -> None:
    """Accept a deletion: the resource is only a name, or ends with the rehearsal."""


# ---------------------------------------------------------------------------- alarms

_alarm_record = provisioners._cw_metric_alarm_record


def alarm_record(name: str, properties: Properties) -> Any:
    """Return an alarm's record; one with metric math records its first metric only."""
    if metrics := properties.get("Metrics"):
        results = [each["Id"] for each in metrics if each.get("ReturnData", True)]
        if len(results) != 1:
            raise ValueError(f"Not one metric of the alarm returns data: {results}")
        stat = next(each["MetricStat"] for each in metrics if "MetricStat" in each)
        properties = {**properties, **stat["Metric"], "Period": stat["Period"]}
        del properties["Metrics"]
    return _alarm_record(name, properties)


# ------------------------------------------------------------------------------- api

_create_api = HANDLERS["AWS::ApiGateway::RestApi"]["create"]


def create_api(logical_id: str, properties: Properties, stack: str) -> Created:
    """Create the API, with the gateway's own answers."""
    api_id, attributes = _create_api(logical_id, properties, stack)
    answers = properties["Body"].get("x-amazon-apigateway-gateway-responses", {})
    for kind, answer in answers.items():
        status, _, body = apigateway_v1._put_gateway_response(api_id, kind, answer)
        if status >= 400:
            raise ValueError(f"Gateway response {kind}: {body.decode()}")
    return api_id, attributes


_update_api = HANDLERS["AWS::ApiGateway::RestApi"]["update"]


def update_api(
    name: str, old: Properties, new: Properties, stack: str, logical_id: str
) -> Created:
    """Import a changed body into the API, which keeps its id, as on AWS."""
    if new["Body"] == old["Body"]:
        updated: Created = _update_api(name, old, new, stack, logical_id)
        return updated
    imported, _ = create_api(logical_id, new, stack)
    apigateway_v1._rest_apis[imported]["id"] = name
    for table in ("_rest_apis", "_resources", "_gateway_responses"):
        kept = getattr(apigateway_v1, table)
        kept[name] = kept.pop(imported)
    apigateway_v1._delete_rest_api(imported)
    return name, provisioners._apigw_rest_api_attrs(name)


_method_settings = provisioners._apigw_method_settings


def method_settings(given: list[Properties]) -> dict[str, Properties]:
    """Return limits by path, which CloudFormation writes as /~1path."""
    settings = _method_settings(given)
    if wrong := [name for name in settings if not name.startswith(("/~1", "*/*"))]:
        raise ValueError(f"MethodSettings without a path: {wrong}")
    return {name.replace("/~1", "/"): limits for name, limits in settings.items()}


# ------------------------------------------------------------------------ codedeploy

GROUPS: list[str] = []  # the ARNs of the deployment groups
STATUSES: dict[str, str] = {}  # by deployment, what its hook reported
_extract_resource_arn = iam_actions.extract_resource_arn


def create_group(logical_id: str, properties: Properties, stack: str) -> Created:
    """Create a deployment group."""
    name = f"{stack}-{logical_id}"
    path = f"{properties['ApplicationName']}/{name}"
    owner = f"{get_region()}:{get_account_id()}"
    GROUPS.append(f"arn:aws:codedeploy:{owner}:deploymentgroup:{path}")
    return name, {}


def extract_resource_arn(service: str, *more: Any, **named: Any) -> Any:
    """Return the resource of a request, for its IAM check."""
    if service == "codedeploy":
        return GROUPS[-1]
    return _extract_resource_arn(service, *more, **named)


async def codedeploy(
    _method: str, _path: str, headers: Properties, body: bytes, _query: Properties
) -> Any:
    """Keep what a hook reports, and return it as the status of the deployment."""
    request = json.loads(body)
    deployment = request["deploymentId"]
    match headers["x-amz-target"].partition(".")[2]:
        case "PutLifecycleEventHookExecutionStatus":
            STATUSES[deployment] = request["status"]
            found: Properties = {
                "lifecycleEventHookExecutionId": request[
                    "lifecycleEventHookExecutionId"
                ]
            }
        case "GetDeployment":
            status = STATUSES.get(deployment, "InProgress")
            found = {"deploymentInfo": {"deploymentId": deployment, "status": status}}
        case action:
            return 400, {}, json.dumps({"__type": f"no {action}"}).encode()
    return 200, {}, json.dumps(found).encode()


# -------------------------------------------------------------------- cloudformation

_handle_request = cloudformation.handle_request


async def handle_request(
    method: str, path: str, headers: Properties, body: bytes, query: Properties
) -> Any:
    """Answer DeleteStack after the deletion: `sam` polls the status only every 30 s."""
    answer = await _handle_request(method, path, headers, body, query)
    if b"Action=DeleteStack" in body:
        deleting = True
        while deleting:
            await asyncio.sleep(0.1)
            stacks = cloudformation._stacks.values()
            states = {stack["StackStatus"] for stack in stacks}
            deleting = "DELETE_IN_PROGRESS" in states
    return answer


# ------------------------------------------------------------- roles and functions

_create_role = HANDLERS["AWS::IAM::Role"]["create"]
_create_function = HANDLERS["AWS::Lambda::Function"]["create"]


def create_role(logical_id: str, properties: Properties, stack: str) -> Created:
    """Create a role, with its permissions boundary."""
    name, attributes = _create_role(logical_id, properties, stack)
    iam._roles[name]["PermissionsBoundary"] = properties.get("PermissionsBoundary")
    return name, attributes


def create_function(logical_id: str, properties: Properties, stack: str) -> Created:
    """Create a function, unless its name exists already."""
    if properties.get("FunctionName") in lambda_svc._functions:
        raise ValueError(f"{properties['FunctionName']} already exists")
    created: Created = _create_function(logical_id, properties, stack)
    return created


_invoke_custom_resource = custom_resource.invoke_custom_resource
_lambda_event = apigateway_v1._build_lambda_event_v1
_register_session = sts.register_session


def invoke_custom_resource(
    request: str, logical_id: str, properties: Properties, *more: Any, **named: Any
) -> Any:
    """Wait at most a minute for the answer of a custom resource."""
    bounded = {**properties, "ServiceTimeout": CUSTOM_RESOURCE_TIMEOUT}
    return _invoke_custom_resource(request, logical_id, bounded, *more, **named)


def lambda_event(*given: Any, **named: Any) -> dict[str, Any]:
    """Return the event of a request, with the id of its API key, the codes' owner."""
    event: dict[str, Any] = _lambda_event(*given, **named)
    headers = event["headers"]
    key = apigateway_v1._resolve_api_key(apigateway_v1._api_key_from_request(headers))
    if key is not None:
        event["requestContext"]["identity"]["apiKeyId"] = key["id"]
    return event


def register_session(access_key: str, session: dict[str, Any]) -> None:
    """Make sessions of functions expire, because tokens for RDS require it."""
    session.setdefault("Expiration", time.time() + 12 * 3600)
    _register_session(access_key, session)


def main() -> None:
    """Serve until SIGTERM."""
    creators: dict[str, Callable[[str, Properties, str], Created]] = {
        "AWS::RDS::DBProxy": create_proxy,
        "AWS::RDS::DBProxyTargetGroup": create_proxy_targets,
        "AWS::ElastiCache::ServerlessCache": create_cache,
        "AWS::EC2::SecurityGroupEgress": accept,
        "AWS::EC2::SecurityGroupIngress": accept,
        "AWS::CodeDeploy::Application": accept,
        "AWS::CodeDeploy::DeploymentGroup": create_group,
    }
    for kind, create in creators.items():
        if kind in HANDLERS:
            raise SystemExit(f"MiniStack now supports {kind} itself: remove ours.")
        HANDLERS[kind] = {
            "create": create,
            "update": accept_update,
            "delete": accept_deletion,
        }
    HANDLERS["AWS::RDS::DBInstance"].update(
        create=create_instance, delete=delete_instance
    )
    HANDLERS["AWS::ApiGateway::RestApi"].update(create=create_api, update=update_api)
    HANDLERS["AWS::IAM::Role"]["create"] = create_role
    HANDLERS["AWS::Lambda::Function"]["create"] = create_function
    provisioners._apigw_method_settings = method_settings
    provisioners._cw_metric_alarm_record = alarm_record
    cloudformation.handle_request = handle_request
    app.SERVICE_HANDLERS["codedeploy"] = codedeploy
    iam_actions.SERVICE_TO_IAM_NAMESPACE["codedeploy"] = "codedeploy"
    router.SERVICE_PATTERNS["codedeploy"] = {"target_prefixes": ["CodeDeploy_20141006"]}
    iam_actions.extract_resource_arn = extract_resource_arn
    apigateway_v1._build_lambda_event_v1 = lambda_event
    custom_resource.invoke_custom_resource = invoke_custom_resource
    sts.register_session = register_session
    lambda_runtime._RESERVED_RUNTIME_ENV_VARS |= OURS
    # MiniStack uses sys.executable only to run the functions.
    sys.executable = SETTINGS["python"]
    Config._insecure_bind = [f"{SETTINGS['host']}:{SETTINGS['plain_port']}"]
    app._port_is_bindable = lambda *_: False  # never use port 443 as well
    for port in (server["ldap_port"] for server in SETTINGS["databases"]):
        directory = ldap_tokens.serve(SETTINGS["host"], port, partial(verdict, port))
        threading.Thread(target=directory.serve_forever, daemon=True).start()
    sys.argv[1:] = []
    app.main()


if __name__ == "__main__":
    main()
