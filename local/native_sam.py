"""The real SAM CLI, with native processes in place of its containers.

    python -m local.native_sam local start-api | invoke ...

SAM keeps its template parsing, routing, events and checks of responses. A function's
execution environment is the Runtime Interface Emulator that ships inside aws-sam-cli,
running awslambdaric in this virtual environment, which also replaces the layer of
dependencies. Not emulated: the memory limit, the read-only file system, Amazon Linux.

It depends on SAM's internals (`InvokeContext`, the arguments of
`LambdaRuntime.invoke`): the version is pinned, and tests/e2e/test_native_sam.py fails
when they change.
"""

import http.client
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import samcli
from samcli.cli.main import cli
from samcli.commands.local.cli_common.invoke_context import InvokeContext
from samcli.lib.utils.codeuri import resolve_code_path
from samcli.local.docker.container import ContainerResponseException

from local import keys
from local.processes import (
    LocalError,
    alive,
    descendants,
    end,
    free_port,
    listening,
    spawn,
    wait_until,
    with_parent_death_signal,
)
from local.project import architecture

LOG = logging.getLogger("samcli.local.native")  # SAM's own handlers print it

MAX_ENVIRONMENTS = 4  # of one function at once; further requests wait
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


class NoAnswer(Exception):
    """The function ended, or was killed, without an answer."""


class ExecutionEnvironment:
    """One emulator with one Python runtime; it serves one request at a time.

    `version` identifies the state of the code that it was created with.
    """

    def __init__(self, config: Any, paths: list[Path], version: int) -> None:
        self.config = config
        self.paths = paths
        self.version = version
        self.port = 0
        self.runtime: list[int] = []  # pids, known once the first event started it
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the emulator; raise LocalError if it does not listen."""
        self.port = free_port()
        rapid = Path(samcli.__file__).parent / "local" / "rapid"
        emulator = [str(rapid / f"aws-lambda-rie-{architecture()}")]
        emulator += ["--log-level", "error"]
        emulator += ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        emulator += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        # The runtime is the emulator's child and ends with it, as that ends with us.
        runtime = [sys.executable, "-m", "awslambdaric", self.config.handler]
        self.process = spawn(
            [*emulator, *with_parent_death_signal(runtime)],
            log=sys.stderr.buffer,
            env=_environment(self.config, self.paths),
            cwd=Path(self.config.code_abs_path),
        )
        if not wait_until(lambda: listening(self.port), 10, 0.005):
            self.close()
            raise LocalError(f"The emulator of {self.config.name} did not start.")

    @property
    def usable(self) -> bool:
        """Whether emulator and runtime still run."""
        if self.process is None or self.process.poll() is not None:
            return False
        return all(map(alive, self.runtime))

    def invoke(self, event: str, seconds: int) -> str:
        """Return the function's JSON answer; raise NoAnswer if there is none."""
        # The emulator enforces the timeout itself; the margin is for one that hangs.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, seconds + 5)
        try:
            connection.request("POST", INVOKE_PATH, event.encode())
            body = connection.getresponse().read().decode()
            json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer from error
        finally:
            connection.close()
        if self.process is not None and not self.runtime:
            self.runtime = descendants(self.process.pid)
        return body

    def close(self) -> None:
        """End the emulator and with it the runtime."""
        if self.process is not None:
            end(self.process, signal.SIGKILL, 5)


class NativeRuntime:
    """A replacement for `samcli.local.lambdafn.runtime.LambdaRuntime`."""

    def __init__(self, project: str, state: Path | None) -> None:
        self.project = project
        self.state = state  # the folder of the API keys
        self.guarded = keys.guarded_routes()
        self.lock = threading.Lock()
        self.idle: dict[str, list[ExecutionEnvironment]] = {}
        self.slots: dict[str, threading.Semaphore] = {}

    def invoke(
        self, config: Any, event: str, *_: Any, stdout: Any = None, **__: Any
    ) -> None:
        """Write the function's answer to `stdout`, from a new environment if needed."""
        parsed = json.loads(event)
        known = keys.read(self.state) if self.state else {}
        admitted = keys.admit(parsed, known, self.guarded)
        if admitted is None:
            stdout.write_str(json.dumps(keys.refusal(parsed)))
            stdout.flush()
            return
        with self.lock:
            limit = threading.Semaphore(MAX_ENVIRONMENTS)
            slot = self.slots.setdefault(config.full_path, limit)
        with slot:
            environment = self._environment(config)
            try:
                answer = environment.invoke(json.dumps(admitted), config.timeout)
            except NoAnswer as error:
                environment.close()
                LOG.info(
                    "Function '%s' gave no answer within %d seconds",
                    config.full_path,
                    config.timeout,
                )
                # SAM itself raises this in that case, and turns it into a 502.
                raise ContainerResponseException from error
            with self.lock:
                self.idle[config.full_path].append(environment)
        stdout.write_str(answer)
        stdout.flush()

    def _environment(self, config: Any) -> ExecutionEnvironment:
        """Return an idle environment that runs the code as it is now, or a new one."""
        paths = [Path(config.code_abs_path)]
        for layer in config.layers:
            root = Path(resolve_code_path(self.project, layer.codeuri))
            # A built layer has the folder python/; a source folder is what is in it.
            paths.append(root / "python" if (root / "python").is_dir() else root)
        edits = (f.stat().st_mtime_ns for path in paths for f in path.rglob("*.py"))
        version = max(edits, default=0)
        with self.lock:
            idle = self.idle.setdefault(config.full_path, [])
            while idle:
                environment = idle.pop()
                if environment.version == version and environment.usable:
                    return environment
                environment.close()
            environment = ExecutionEnvironment(config, paths, version)
            environment.start()
            return environment


def _environment(config: Any, paths: list[Path]) -> dict[str, str]:
    """Return the function's variables: Lambda's and its own, none of the shell's."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "TMPDIR": tempfile.gettempdir(),
        "LAMBDA_TASK_ROOT": config.code_abs_path,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.runtime}",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "_HANDLER": config.handler,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        **config.env_vars.resolve(),
        **credentials_in(config.env_vars.override_values),
    }


def credentials_in(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the AWS_ variables among those of --env-vars.

    SAM passes on only what the template declares. Credentials are Lambda's own and are
    not declared, so we pass them on.
    """
    return {k: v for k, v in variables.items() if k.startswith("AWS_")}


def replace_containers() -> None:
    """Make SAM's commands run functions as native processes."""

    def lambda_runtime(context: Any) -> NativeRuntime:
        if "native" not in vars(context):
            # Private: --env-vars is beside the keys.
            variables = context._env_vars_file  # noqa: SLF001
            state = Path(variables).parent if variables else None
            context.native = NativeRuntime(context.get_cwd(), state)
        runtime: NativeRuntime = context.native
        return runtime

    InvokeContext.lambda_runtime = property(lambda_runtime)
    # Private, and called even though no container is created: it looks for Docker.
    InvokeContext._get_container_manager = staticmethod(lambda *_, **__: None)  # noqa: SLF001


def run_cli() -> None:
    """Run the SAM CLI with this process's arguments."""
    # With credentials, or a chance to find some, SAM would first call AWS STS.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)
    os.environ.pop("AWS_PROFILE", None)
    os.environ["AWS_CONFIG_FILE"] = os.devnull
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["SAM_CLI_TELEMETRY"] = "0"
    cli(prog_name="sam")


def main() -> None:
    """Run the SAM CLI with native functions."""
    replace_containers()
    run_cli()


if __name__ == "__main__":
    main()
