"""`make preflight`: what would make a deployment fail late, or mislead.

It only reads, and takes some seconds. An error would stop the deployment after it has
created half of a stack; a note is worth knowing. PARAMETERS in the environment counts
as for `make deploy`, which begins with this.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from boto3.session import Session
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_parse

from checks.deploy import DeployError, merged
from checks.template import BUDGET, REGIONS, missing_types, translate, without_budgets
from local.project import ROOT, TEMPLATE

Client = Callable[[str], Any]

# Zones with neither Lambda's network nor RDS Proxy.
UNSERVED_ZONES = {"use1-az3"}
UNRESERVED = 100  # executions that AWS keeps for functions without a reservation
LINKED_ROLES = {
    "AWSServiceRoleForRDS": "rds.amazonaws.com",
    "AWSServiceRoleForElastiCache": "elasticache.amazonaws.com",
}
DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
}
# What to do about a stack that cannot be updated.
DELETE = "delete it: sam delete --stack-name {stack}"
STUCK = {
    "CREATE_FAILED": DELETE,
    "ROLLBACK_COMPLETE": DELETE,
    "ROLLBACK_FAILED": DELETE,
    "DELETE_FAILED": DELETE,
    "UPDATE_ROLLBACK_FAILED": (
        "end it: aws cloudformation continue-update-rollback --stack-name {stack}"
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment: the stack, its region, its parameters, its state ("" if new)."""

    stack: str
    region: str
    parameters: Mapping[str, str]
    state: str

    @property
    def production(self) -> bool:
        """Whether the stack is to be a production stage."""
        return self.parameters["Production"] == "true"


@dataclass(frozen=True, slots=True)
class Finding:
    """An error, or a note."""

    text: str
    is_error: bool = True


Found = Iterator[Finding]


def main() -> int:
    """Print all findings; return 1 if one is an error, else 0."""
    parser = argparse.ArgumentParser("make preflight", description=__doc__)
    parser.add_argument("stage", help="stage of samconfig.toml")
    return preflight(parser.parse_args().stage, os.environ)


def preflight(stage: str, environment: Mapping[str, str]) -> int:
    """Print all findings about a stage; return 1 if one is an error, else 0."""
    session = Session()

    def client(service: str) -> Any:
        untyped: Any = session  # its stubs accept literal names only
        return untyped.client(service)

    try:
        plan = planned(stage, environment, session.region_name or "", client)
        account = client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError, DeployError) as error:
        print(f"preflight: {error}", file=sys.stderr)
        return 1
    # The log of a pipeline may be public.
    print(
        f"Preflight of {plan.stack} ({plan.state or 'new'}) in {plan.region}, in the"
        f" account that ends with {account[-4:]}",
        flush=True,
    )
    errors = 0
    for finding in findings(plan, client):
        errors += finding.is_error
        print(f"  {'ERROR' if finding.is_error else 'note'}: {finding.text}")
    print(f"{errors} errors" if errors else "Nothing stands in the way.", flush=True)
    return 1 if errors else 0


@cache
def template() -> dict[str, Any]:
    """Return template.yaml, as it was written."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return parsed


def planned(
    stage: str, environment: Mapping[str, str], region: str, client: Client
) -> Plan:
    """Return the deployment of a stage, with the parameters that it would have.

    A parameter that is not given keeps its value in an existing stack.
    """
    given = merged(stage, environment.get("PARAMETERS", ""))
    if not region:
        raise DeployError("there is no region: set AWS_DEFAULT_REGION")
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    stack = stages[stage]["global"]["parameters"]["stack_name"]
    parameters = {
        name: str(declared["Default"])
        for name, declared in template()["Parameters"].items()
    }
    state = ""
    try:
        (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":  # there is no stack
            raise
    else:
        state = found["StackStatus"]
        parameters |= {
            each["ParameterKey"]: each["ParameterValue"]
            for each in found.get("Parameters", [])
        }
    if state == "REVIEW_IN_PROGRESS":  # of a change set that was not executed
        state = ""
    return Plan(stack, region, parameters | given, state)


def findings(plan: Plan, client: Client) -> Found:
    """Yield what all checks find; what may not be read is a note.

    About a stack that cannot be updated, nothing else is worth knowing.
    """
    about_the_stack = list(of_the_stack(plan))
    yield from about_the_stack
    if any(finding.is_error for finding in about_the_stack):
        return
    for check in (
        of_the_region,
        of_the_network,
        of_the_database,
        of_concurrency,
        of_linked_roles,
        of_api_logs,
    ):
        try:
            yield from check(plan, client)
        except ClientError as error:
            if error.response["Error"]["Code"] not in DENIED:
                yield Finding(str(error))
                continue
            subject = check.__name__.removeprefix("of_").replace("_", " ")
            yield Finding(
                f"not checked: {subject}, since {error.operation_name} is not allowed",
                is_error=False,
            )
        except BotoCoreError as error:
            yield Finding(str(error))


def of_the_stack(plan: Plan) -> Found:
    """Yield why the stack cannot be updated, and whether its database is protected."""
    if plan.state in STUCK:
        yield Finding(
            f"the stack is {plan.state}; {STUCK[plan.state].format(stack=plan.stack)}"
        )
    elif plan.state.endswith("_IN_PROGRESS"):
        yield Finding(f"the stack is {plan.state}; wait until that has ended")
    elif (
        plan.state and plan.production and plan.parameters["ProtectDatabase"] != "true"
    ):
        yield Finding(
            "the database is not protected against deletion:"
            " PARAMETERS=ProtectDatabase=true, once the stack works",
            is_error=False,
        )


def of_the_region(plan: Plan, _: Client) -> Found:
    """Yield the types of resources that this deployment needs and the region lacks."""
    budget = float(plan.parameters["MonthlyBudgetUsd"]) != 0
    if budget and plan.region in without_budgets(template()):
        yield Finding(
            f"{plan.region} has no budgets: PARAMETERS=MonthlyBudgetUsd=0, and create"
            " the budget in another region"
        )
    if plan.region in REGIONS:
        return
    yield Finding(
        f"{plan.region} is not one of the regions of README.md", is_error=False
    )
    for missing in missing_types(translate(template()), [plan.region]):
        if BUDGET in missing or ("DBProxy" in missing and not plan.production):
            continue
        yield Finding(missing)


def of_the_network(plan: Plan, client: Client) -> Found:
    """Yield why a new stack cannot use its zones, or the network that was given."""
    if plan.state:  # neither can be changed
        return
    ec2 = client("ec2")
    if plan.parameters["VpcId"]:
        zones = yield from _given_zones(plan, ec2)
    else:
        zones = _chosen_zones(plan, ec2)
        if len(zones) < 2 or "unknown" in zones.values():
            yield Finding(
                "AvailabilityZones: two zones of the region are needed, such as"
                f" {','.join([*_zones_of_region(ec2)][:2])}"
            )
    unserved = [name for name, number in zones.items() if number in UNSERVED_ZONES]
    if unserved:
        served = [
            name
            for name, number in _zones_of_region(ec2).items()
            if number not in UNSERVED_ZONES
        ]
        way_out = (
            "use other subnets"
            if plan.parameters["VpcId"]
            else f"PARAMETERS=AvailabilityZones={','.join(served[:2])}"
        )
        yield Finding(
            f"{unserved[0]} has neither Lambda's network nor RDS Proxy: {way_out}"
        )


def _given_zones(plan: Plan, ec2: Any) -> Any:
    """Yield what is wrong with the subnets that were given; return their zones."""
    wanted = plan.parameters["SubnetIds"].split(",")
    subnets = ec2.describe_subnets(SubnetIds=wanted)["Subnets"]
    zones = {each["AvailabilityZone"]: each["AvailabilityZoneId"] for each in subnets}
    if len(zones) < 2:
        yield Finding("SubnetIds: two subnets in two availability zones are needed")
    vpc = plan.parameters["VpcId"]
    in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    tables = ec2.describe_route_tables(Filters=in_vpc)["RouteTables"]
    service = {
        "Name": "service-name",
        "Values": [f"com.amazonaws.{plan.region}.s3"],
    }
    endpoints = ec2.describe_vpc_endpoints(Filters=[*in_vpc, service])["VpcEndpoints"]
    routed = {
        table
        for endpoint in endpoints
        if endpoint["VpcEndpointType"] == "Gateway"
        for table in endpoint["RouteTableIds"]
    }
    of_subnet = {
        association.get("SubnetId", "main"): table["RouteTableId"]
        for table in tables
        for association in table["Associations"]
    }
    for subnet in subnets:
        name = subnet["SubnetId"]
        if subnet["VpcId"] != vpc:
            yield Finding(f"SubnetIds: {name} does not belong to {vpc}")
        elif of_subnet.get(name, of_subnet.get("main")) not in routed:
            yield Finding(
                f"SubnetIds: the route table of {name} has no S3 gateway endpoint"
            )
    return zones


def _chosen_zones(plan: Plan, ec2: Any) -> dict[str, str]:
    """Return names and ids of the zones in which the stack creates its subnets."""
    zones = _zones_of_region(ec2)
    chosen = [name for name in plan.parameters["AvailabilityZones"].split(",") if name]
    if not chosen:
        # Fn::GetAZs returns zones with a default subnet, if there is one at all.
        default = [{"Name": "default-for-az", "Values": ["true"]}]
        subnets = ec2.describe_subnets(Filters=default)["Subnets"]
        names = {each["AvailabilityZone"] for each in subnets} or set(zones)
        chosen = sorted(names & set(zones))
    return {name: zones.get(name, "unknown") for name in chosen[:2]}


def _zones_of_region(ec2: Any) -> dict[str, str]:
    """Return names and ids of the region's zones, in the order of their names."""
    kind = {"Name": "zone-type", "Values": ["availability-zone"]}
    found = ec2.describe_availability_zones(Filters=[kind])["AvailabilityZones"]
    return dict(sorted((each["ZoneName"], each["ZoneId"]) for each in found))


def of_the_database(plan: Plan, client: Client) -> Found:
    """Yield why RDS cannot create the database in these zones."""
    database = template()["Resources"]["Database"]["Properties"]
    name = plan.parameters["DatabaseInstanceClass"]
    pages = (
        client("rds")
        .get_paginator("describe_orderable_db_instance_options")
        .paginate(Engine=database["Engine"], DBInstanceClass=name)
    )
    offered = {
        zone["Name"]
        for page in pages
        for option in page["OrderableDBInstanceOptions"]
        if option["EngineVersion"].split(".")[0] == database["EngineVersion"]
        and option["StorageType"] == database["StorageType"]
        for zone in option["AvailabilityZones"]
    }
    if not offered:
        yield Finding(
            f"{plan.region} has no {name} for PostgreSQL {database['EngineVersion']}:"
            " set DatabaseInstanceClass"
        )
        return
    if plan.state or plan.parameters["VpcId"]:
        return
    zones = set(_chosen_zones(plan, client("ec2")))
    missing = zones - offered
    # A standby needs both zones; without one, RDS takes the zone that has the class.
    if missing and (plan.production or missing == zones):
        yield Finding(
            f"{', '.join(sorted(missing))} has no {name}: set AvailabilityZones or"
            " DatabaseInstanceClass"
        )


def of_concurrency(plan: Plan, client: Client) -> Found:
    """Yield whether the account has the executions that are to be reserved."""
    functions = ("Generate", "Retrieve", "Redirect", "Manage")
    limit = client("lambda").get_account_settings()["AccountLimit"]
    free = limit["UnreservedConcurrentExecutions"]
    if plan.state:  # what the stack has reserved is counted again
        free += sum(_reserved(plan, client, f"{name}Function") for name in functions)
    names = [f"{name}ReservedConcurrency" for name in functions]
    wanted = sum(int(plan.parameters[name]) for name in names)
    if wanted and free - wanted < UNRESERVED:
        yield Finding(
            f"of {free} executions at a time, {wanted} cannot be reserved, since"
            f" {UNRESERVED} have to remain: PARAMETERS="
            f'"{" ".join(f"{name}=0" for name in names)}", or a higher quota'
        )
    if limit["ConcurrentExecutions"] < UNRESERVED:
        yield Finding(
            f"the account has only {limit['ConcurrentExecutions']} executions at a time"
            ' and refuses more; "Concurrent executions" of Lambda can be raised in'
            " Service Quotas",
            is_error=False,
        )


def _reserved(plan: Plan, client: Client, function: str) -> int:
    """Return the executions reserved for a function; 0 if the stack lacks it."""
    try:
        found = client("cloudformation").describe_stack_resource(
            StackName=plan.stack, LogicalResourceId=function
        )["StackResourceDetail"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # an earlier release
            return 0
        raise
    reserved = client("lambda").get_function_concurrency(
        FunctionName=found["PhysicalResourceId"]
    )
    return int(reserved.get("ReservedConcurrentExecutions", 0))


def of_linked_roles(plan: Plan, client: Client) -> Found:
    """Yield the roles that a new stack's database and cache need in the account.

    With the very first database of an account, AWS creates the role itself, and may
    refuse the database until the role is ready.
    """
    if plan.state:
        return
    iam = client("iam")
    for role, service in LINKED_ROLES.items():
        try:
            iam.get_role(RoleName=role)
        except iam.exceptions.NoSuchEntityException:
            yield Finding(
                f"the account has no {role}: aws iam create-service-linked-role"
                f" --aws-service-name {service}"
            )


def of_api_logs(plan: Plan, client: Client) -> Found:
    """Yield what happens to the role of the account with which API Gateway logs."""
    role = client("apigateway").get_account().get("cloudwatchRoleArn", "")
    manages = plan.parameters["ManageApiGatewayAccount"] == "true"
    if not role and not manages:
        yield Finding(
            "API Gateway has no role for logs in this account and region:"
            " PARAMETERS=ManageApiGatewayAccount=true"
        )
    if role and manages and f"/{plan.stack}-" not in role:
        yield Finding(
            f"the stack replaces the account's role for logs of API Gateway, {role};"
            " PARAMETERS=ManageApiGatewayAccount=false keeps it",
            is_error=False,
        )


if __name__ == "__main__":
    sys.exit(main())
