"""`make key` and `make key-transfer` on AWS: API keys of a stage, and their codes."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from checks.smoke import SmokeError, stack_name

Client = Callable[[str], Any]
# The function goes on for 19 of its 29 seconds.
PATIENT = Config(read_timeout=35, retries={"total_max_attempts": 1})


class KeysError(Exception):
    """What the function refused; the message is for the terminal."""


def create(client: Client, stack: str, name: str) -> tuple[str, str]:
    """Create a key in the usage plan of a stack; return its id and value.

    Raises KeysError if a key of this name exists already.
    """
    gateway = client("apigateway")
    found = gateway.get_api_keys(nameQuery=name)["items"]
    if any(each["name"] == name for each in found):
        raise KeysError(f"There is a key {name} already.")
    plan = physical_id(client, stack, "ApiUsagePlan")
    made = gateway.create_api_key(name=name, enabled=True)
    key_id: str = made["id"]
    try:
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key_id, keyType="API_KEY")
    except (BotoCoreError, ClientError):
        gateway.delete_api_key(apiKey=key_id)  # no route would accept it
        raise
    return key_id, made["value"]


def transfer(client: Client, stack: str, source: str, target: str) -> None:
    """Give all codes of one key's id to another; print how many so far."""
    function = physical_id(client, stack, "ManageFunction")
    event = {"transfer": {"from": source, "to": target}}
    done, complete = 0, False
    while not complete:
        invoked = client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(event)
        )
        answer = json.load(invoked["Payload"])
        if "FunctionError" in invoked:
            raise KeysError(f"manage failed: {answer['errorMessage']}")
        done, complete = done + answer["done"], answer["complete"]
        print(f"{done} codes of {source} belong to {target}", flush=True)


def physical_id(client: Client, stack: str, resource: str) -> str:
    """Return the name by which AWS knows a resource of a stack."""
    found = client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=resource
    )
    name: str = found["StackResourceDetail"]["PhysicalResourceId"]
    return name


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser("make key", description=__doc__)
    parser.add_argument("--stage", required=True, help="stage of samconfig.toml")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("create", help="create a key")
    command.add_argument("name", help="for people; the owner is the key's id")
    command = commands.add_parser("transfer", help="give codes to another key")
    command.add_argument("source", help="the id of the key that has them")
    command.add_argument("target", help="the id of the key that gets them")
    given = parser.parse_args()

    def client(service: str) -> Any:
        aws: Any = boto3  # whose stubs know each service by its name alone
        return aws.client(service, config=PATIENT)

    try:
        stack = stack_name(given.stage)
        if given.command == "create":
            key_id, value = create(client, stack, given.name)
            print(f"{given.name}: id {key_id}, key {value}")
        else:
            transfer(client, stack, given.source, given.target)
    except (BotoCoreError, ClientError, KeysError, SmokeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
