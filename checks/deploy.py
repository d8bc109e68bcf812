"""`make deploy`: after the preflight, `sam deploy` of the build to a stage.

PARAMETERS in the environment, such as "AlarmEmail=ops@example.com Tracing=PassThrough",
sets parameters beside those of samconfig.toml. `sam deploy --parameter-overrides` alone
would replace them all, which matters when a stack is created.
"""

import argparse
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping

from local.project import ROOT


class DeployError(Exception):
    """A wrong stage or parameter; the message is for the terminal."""


def main() -> None:
    """Replace this process by `sam deploy`, or exit with a message."""
    parser = argparse.ArgumentParser("make deploy", description=__doc__)
    parser.add_argument("stage", help="stage of samconfig.toml")
    try:
        command = deployment(parser.parse_args().stage, os.environ)
    except DeployError as error:
        sys.exit(str(error))
    os.execvp(command[0], command)  # noqa: S606  no shell is wanted


def deployment(stage: str, environment: Mapping[str, str]) -> list[str]:
    """Return the command that deploys the build to a stage."""
    given = overrides(stage, environment.get("PARAMETERS", ""))
    if not (ROOT / ".aws-sam/build/template.yaml").exists():
        raise DeployError("Run make build first.")
    command = ["sam", "deploy", "--config-env", stage]
    if environment.get("CI"):
        command += ["--no-confirm-changeset"]
    if role := environment.get("AWS_CLOUDFORMATION_ROLE"):
        command += ["--role-arn", role]
    return [*command, "--parameter-overrides", *given]


def overrides(stage: str, parameters: str) -> list[str]:
    """Return the parameters of a stage and those given, as `sam` expects them."""
    return [f"{name}='{value}'" for name, value in merged(stage, parameters).items()]


def merged(stage: str, parameters: str) -> dict[str, str]:
    """Return the parameters of a stage, and those given as text, which win."""
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    if "deploy" not in stages.get(stage, {}):
        raise DeployError(f"samconfig.toml has no stage {stage}.")
    result = {}
    listed = stages[stage].get("global", {}).get("parameters", {})
    for pair in [*listed.get("parameter_overrides", []), *words(parameters)]:
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9]+", name) or "'" in value:
            raise DeployError(f"PARAMETERS: {pair!r} is not Name=Value.")
        result[name] = value
    return result


def words(text: str) -> list[str]:
    """Return the words of a text, some of them in quotes as in a shell."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise DeployError(f"PARAMETERS: {error}") from None


if __name__ == "__main__":
    main()
