"""The stack in the emulator: the commands of `sam`, and calls of the stack's API."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.http import Answer, call
from local.processes import LocalError, end, spawn
from local.project import ROOT, architecture
from rehearsal.servers import REGION, Certificate, Emulator


class Deployment:
    """A stack of the template; `folder` is for the build and the logs of `sam`."""

    def __init__(
        self,
        folder: Path,
        tls: Certificate,
        emulator: Emulator,
        stage: str,
    ) -> None:
        self.folder = folder
        self.stack_name = f"qr-codes-{stage}"
        self.stage = stage
        self.build = folder / "build"
        self.tls = tls
        self.emulator = emulator
        self.runs = 0

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the stack."""
        found = self.stack["Outputs"]
        return {each["OutputKey"]: each["OutputValue"] for each in found}

    @cached_property
    def stack(self) -> Any:
        """CloudFormation's description of the stack."""
        found = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        return found["Stacks"][0]

    @cached_property
    def api_key(self) -> str:
        """The key that POST /generate requires."""
        key = self.client("apigateway").get_api_key(
            apiKey=self.outputs["ApiKeyId"], includeValue=True
        )
        return str(key["value"])

    def client(self, service: str) -> Any:
        """Return boto3's client of a service, with the rights of the account's root."""
        session: Any = boto3.session.Session()  # its stubs accept literal names only
        return session.client(
            service,
            region_name=REGION,
            endpoint_url=self.emulator.endpoint_url,
            verify=str(self.tls.certificate),
            aws_access_key_id=self.emulator.access_key,
            aws_secret_access_key=self.emulator.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def sam(self, *arguments: str, offline: bool = False, seconds: int = 300) -> str:
        """Run a command of the SAM CLI; return its output or raise LocalError.

        Unless `offline`, the command uses the emulator instead of AWS.
        """
        # The user's own AWS settings must not redirect `sam`.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        temporary = self.folder / "tmp"  # `sam` leaves many files there
        temporary.mkdir(exist_ok=True)
        environment |= {"SAM_CLI_TELEMETRY": "0", "TMPDIR": str(temporary)}
        if not offline:
            environment |= {
                "AWS_ENDPOINT_URL": self.emulator.endpoint_url,
                "AWS_CA_BUNDLE": str(self.tls.certificate),
                "AWS_ACCESS_KEY_ID": self.emulator.access_key,
                "AWS_SECRET_ACCESS_KEY": self.emulator.secret_key,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "SAM_CLI_POLL_DELAY": "0.5",  # seconds
            }
        self.runs += 1
        path = self.folder / f"sam-{self.stage}-{self.runs}-{arguments[0]}.log"
        with path.open("w+b") as log:
            command = [sys.executable, "-m", "samcli", *arguments]
            process = spawn(command, log=log, env=environment, cwd=ROOT)
            failure = "failed"
            try:
                if process.wait(seconds) == 0:
                    failure = ""
            except subprocess.TimeoutExpired:
                failure = f"took more than {seconds} s"
            finally:
                if process.poll() is None:
                    end(process, signal.SIGTERM, 5)
        output = path.read_text(errors="replace")
        if failure:
            tail = "\n  ".join(output.splitlines()[-40:])
            raise LocalError(f"sam {' '.join(arguments)} {failure}:\n  {tail}")
        return output

    def deploy(self, **parameters: str | int) -> None:
        """Create or update the stack with these parameters."""
        given = {
            "Architecture": architecture(),
            "Stage": self.stage,
            # A production stage has all resources of the others, and RDS Proxy.
            "Production": "true",
            "AlarmEmail": "operator@example.com",
            "Rollout": "Canary10Percent10Minutes",
            **parameters,
        }
        self.deploy_template(self.build / "template.yaml", **given)

    def deploy_template(self, template: Path, **parameters: str | int) -> None:
        """Create or update the stack from a template that is built."""
        command = ["deploy", "--template-file", str(template)]
        command += ["--config-file", str(ROOT / "samconfig.toml")]
        command += [
            "--config-env",
            "prod",
            "--no-confirm-changeset",
            "--no-progressbar",
        ]
        command += [*self.options(), "--parameter-overrides"]
        try:
            self.sam(
                *command, *(f"{name}='{value}'" for name, value in parameters.items())
            )
        except LocalError as error:
            raise LocalError(f"{self.failures()}\n\n{error}") from None
        self.__dict__.pop("stack", None)
        self.__dict__.pop("outputs", None)

    def options(self) -> list[str]:
        """Return the options of `sam` that name this stack."""
        return ["--stack-name", self.stack_name, "--region", REGION]

    def delete(self) -> None:
        """Delete the stack (sam delete)."""
        self.sam("delete", "--no-prompts", *self.options())

    def failures(self) -> str:
        """Return why resources of the stack failed, one per line, the cause first."""
        events: list[Any] = []
        with suppress(ClientError):  # the stack may not exist yet
            pages = self.client("cloudformation").get_paginator("describe_stack_events")
            for page in pages.paginate(StackName=self.stack_name):
                events += page["StackEvents"]
        return "\n".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("FAILED")
        )

    def call(
        self,
        method: str,
        url: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> Answer:
        """Return the answer to a request; a path without a host is a path of the API.

        With `port`, the request goes to that port without TLS, even if the URL has
        another port or scheme.
        """
        if url.startswith("/"):
            api = f"/_aws/execute-api/{self.outputs['ApiId']}/{self.stage}"
            url = f"{self.emulator.endpoint_url}{api}{url}"
        sent = dict(headers or {})
        if port:
            target = urlsplit(url)
            # The signature covers the host, which `port` must not change.
            sent["Host"] = target.netloc
            address = f"{target.hostname}:{port}"
            url = urlunsplit(target._replace(scheme="http", netloc=address))
        trusted = str(self.tls.certificate)
        return call(method, url, body, sent, trusted=trusted)
