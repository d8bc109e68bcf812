"""The real SAM CLI, with native processes in place of its containers.

    python -m local.sam local start-api        python -m local.sam local invoke ...

SAM keeps its template parsing, routing, events and checks of responses. A function's
execution environment is the Runtime Interface Emulator that ships inside aws-sam-cli,
running awslambdaric in this virtual environment, which also stands in for the layer of
dependencies. Not emulated: the memory limit, the read-only file system, Amazon Linux.

It leans on SAM's internals (`InvokeContext`, the arguments of `LambdaRuntime.invoke`):
the version is pinned, and tests/e2e/test_sam.py fails when they change.
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
from pathlib import Path
from typing import Any

import samcli
from samcli.cli.main import cli
from samcli.commands.local.cli_common.invoke_context import InvokeContext
from samcli.lib.utils.codeuri import resolve_code_path
from samcli.local.docker.container import ContainerResponseException

from local.layers import host
from local.processes import (
    LocalError,
    alive,
    descendants,
    end,
    free_port,
    listening,
    spawn,
    wait_until,
)

LOG = logging.getLogger("samcli.local.native")  # SAM's own handlers print it

MAX_ENVIRONMENTS = 4  # of one function at once; further requests wait for their turn
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


class NoAnswer(Exception):
    """The function ended, or was ended, without an answer."""


class ExecutionEnvironment:
    """One emulator with one Python runtime; it serves one request at a time.

    `version` tells the code it was started with from later edits.
    """

    def __init__(self, config: Any, paths: list[Path], version: int) -> None:
        self.version = version
        self.port = free_port()
        self.runtime: list[int] = []  # known, and started, with the first event
        rapid = Path(samcli.__file__).parent / "local" / "rapid"
        emulator = [str(rapid / f"aws-lambda-rie-{host()}"), "--log-level", "error"]
        emulator += ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        emulator += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        # The runtime is the emulator's child, and dies with it as that does with us.
        runtime = ["setpriv", "--pdeathsig", "KILL", "--"]
        runtime += [sys.executable, "-m", "awslambdaric", config.handler]
        self.process: subprocess.Popen[bytes] = spawn(
            [*emulator, *runtime],
            log=sys.stderr.buffer,
            env=_environment(config, paths),
            cwd=Path(config.code_abs_path),
        )
        if not wait_until(lambda: listening(self.port), 10, 0.005):
            self.close()
            raise LocalError(f"The emulator of {config.name} did not start.")

    @property
    def usable(self) -> bool:
        """Whether emulator and runtime live."""
        return self.process.poll() is None and all(map(alive, self.runtime))

    def invoke(self, event: str, seconds: int) -> str:
        """Return the function's JSON answer; raise NoAnswer when there is none."""
        # The emulator keeps the time itself; the margin is for one that hangs.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, seconds + 5)
        try:
            connection.request("POST", INVOKE_PATH, event.encode())
            body = connection.getresponse().read().decode()
            json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer from error
        finally:
            connection.close()
        self.runtime = self.runtime or descendants(self.process.pid)
        return body

    def close(self) -> None:
        """End the emulator and with it the runtime."""
        end(self.process, signal.SIGKILL, 5)


class NativeRuntime:
    """Takes the place of `samcli.local.lambdafn.runtime.LambdaRuntime`."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.lock = threading.Lock()
        self.idle: dict[str, list[ExecutionEnvironment]] = {}
        self.slots: dict[str, threading.Semaphore] = {}

    def invoke(
        self, config: Any, event: str, *_: Any, stdout: Any = None, **__: Any
    ) -> None:
        """Write the function's answer to `stdout`, a new environment made if needed."""
        with self.lock:
            limit = threading.Semaphore(MAX_ENVIRONMENTS)
            slot = self.slots.setdefault(config.full_path, limit)
        with slot:
            environment = self._environment(config)
            try:
                answer = environment.invoke(event, config.timeout)
            except NoAnswer as error:
                environment.close()
                LOG.info(
                    "Function '%s' gave no answer within %d seconds",
                    config.full_path,
                    config.timeout,
                )
                # What SAM itself raises then; it turns it into a 502.
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
            # A built layer has the folder python/; a source folder stands for it.
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
            return ExecutionEnvironment(config, paths, version)


def _environment(config: Any, paths: list[Path]) -> dict[str, str]:
    """Return what the function finds in its environment, and nothing of the shell's."""
    # SAM lets --env-vars override only what the template declares. The credentials are
    # Lambda's own and are not declared, so they are taken from there as well.
    overrides = config.env_vars.override_values
    credentials = {k: v for k, v in overrides.items() if k.startswith("AWS_")}
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
        **credentials,
    }


def replace_containers() -> None:
    """Make SAM's commands run functions as native processes."""

    def lambda_runtime(context: Any) -> NativeRuntime:
        if "native" not in vars(context):
            context.native = NativeRuntime(context.get_cwd())
        runtime: NativeRuntime = context.native
        return runtime

    InvokeContext.lambda_runtime = property(lambda_runtime)
    # Private, and asked even though no container is made: it looks for Docker.
    InvokeContext._get_container_manager = staticmethod(lambda *_, **__: None)  # noqa: SLF001


def run_cli() -> None:
    """Run the SAM CLI with this process's arguments."""
    # With credentials, or a chance to find some, SAM would first ask AWS who it is.
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
