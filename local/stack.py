"""The whole service over one state folder: servers, functions, API.

The folder (.local, unless another is given) contains

lock            held by the one launcher of the folder
processes.json  {"launcher": pid, "url": ..., SERVER: {"pid": ..., "port": ...}, ...}
env.json        the functions' environment, for `sam local ... --env-vars`
logs/           one file for each server, and that of the run before
"""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from samcli.yamlhelper import parse_yaml_file

from local.http import Unreachable, get
from local.processes import LocalError, free_port, spawn
from local.project import EVENTS, FUNCTIONS, ROOT, TEMPLATE
from local.servers import S3, PostgreSQL, Server, Valkey

BUCKET = "qr-codes"
ONLY_ON_AWS = {"verify"}  # calls Lambda and CodeDeploy; `make rehearse` runs it


class Busy(LocalError):
    """Another process holds the state folder."""


class API(Server):
    """The template's routes and functions, run by SAM as native processes."""

    name = "API"
    target = "run"  # of make

    def __init__(self, state: Path, port: int = 0) -> None:
        super().__init__(state / "api", port)
        self.state = state
        self.variables = state / "env.json"
        self.cwd = ROOT

    def build(self) -> None:
        """Build what the functions run in; native functions need nothing."""

    def sam(self, *arguments: str) -> list[str]:
        """Return the command line of `sam local ...`, with its functions' variables."""
        what = ["--template", str(TEMPLATE), "--env-vars", str(self.variables)]
        return [sys.executable, "-m", "local.native_sam", "local", *arguments, *what]

    def command(self) -> list[str]:
        """Return `sam local start-api` on loopback."""
        return self.sam("start-api", "--host", "127.0.0.1", "--port", str(self.port))

    def answers(self) -> bool:
        """Return whether GET /health is 200: API, function and database work."""
        try:
            url = f"http://127.0.0.1:{self.port}/health"
            return get(url, timeout=15).status == 200
        except Unreachable:
            return False


class Stack:
    """The servers of a state folder and, on top of them, the functions.

    The constructor changes nothing. Call `prepare` before anything but `invoke`.
    """

    def __init__(self, state: Path, api: type[API] = API) -> None:
        self.state = state.absolute()
        self.logs = self.state / "logs"
        self.processes = self.state / "processes.json"
        self.postgresql = PostgreSQL(self.state / "postgresql")
        self.valkey = Valkey(self.state / "valkey")
        self.s3 = S3(self.state / "s3")
        self.stores: list[Server] = [self.postgresql, self.valkey, self.s3]
        self.api = api(self.state)
        self.servers: list[Server] = [*self.stores, self.api]
        for server in self.servers:
            server.log = self.logs / f"{server.name.lower()}.log"

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.api.port}"

    def prepare(self, port: int = 0) -> None:
        """Choose the ports, and record that a launcher is running.

        `port` is the API's, 0 for any; stores keep the ports of the last run if these
        are free, so that other tools can rely on them.
        """
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = recorded(self.state)
        for store in self.stores:
            store.port = free_port(before.get(store.name, {}).get("port", 0))
        self.api.port = port or free_port()
        self.record(None)

    def start_stores(self) -> None:
        """Start PostgreSQL, Valkey and S3, and write the functions' environment."""
        _together(*(store.start for store in self.stores))
        self.s3.create_bucket(BUCKET, bucket_cors())
        common = {
            "DATABASE_AUTH": "password",
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.valkey.port),
            "REDIS_TLS": "false",
            "REDIS_AUTH": "none",
            "REDIS_USERNAME": "",
            "REDIS_CACHE_NAME": "",
            "REDIS_CLUSTER": "false",
            "CA_BUNDLE": "",
            "QR_BUCKET": BUCKET,
            "PUBLIC_URL": self.url,
            "S3_ENDPOINT_URL": self.s3.endpoint_url,
            "AWS_REGION": self.s3.region,
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
        }
        own = {
            function: {"DATABASE_URL": self.postgresql.url(role)}
            for function, role in database_roles().items()
        }
        variables = self.api.variables
        variables.touch(mode=0o600)
        variables.write_text(json.dumps({"Parameters": common, **own}, indent=2))

    def start(self, progress: Callable[[str], None]) -> None:
        """Start everything; return when the API answers."""
        _together(self.start_stores, self.api.build)
        progress("PostgreSQL, Valkey and S3 answer")
        _together(lambda: self.invoke("migrate", "apply"), self.api.start)
        progress("migrations are applied, the API answers")
        self.record(self.url)

    def stop(self) -> None:
        """Stop what runs, the API first."""
        for server in reversed(self.servers):
            server.stop()
        self.record(None)

    def record(self, url: str | None) -> None:
        """Write processes.json; `url` is None while nothing is served."""
        entries: dict[str, Any] = {"launcher": os.getpid(), "url": url}
        for server in self.servers:
            entries[server.name] = {"port": server.port}
            if server.running:
                entries[server.name]["pid"] = server.pid
        draft = self.processes.with_suffix(".new")
        draft.write_text(json.dumps(entries, indent=2))
        draft.replace(self.processes)  # a reader never sees half of it

    def migrate(self) -> None:
        """Apply the migrations, unless `make run` has done so."""
        if not recorded(self.state).get("url"):
            self.invoke("migrate", "apply")

    def invoke(self, function: str, event: str | Path) -> str:
        """Return a function's JSON answer to an event, given by its name or its file.

        Raises LocalError if the function failed.
        """
        find_function(function)  # before a log of that name is opened
        if isinstance(event, str):
            event = find_event(function, event)
        with (self.logs / f"{function}.log").open("w+b") as log:
            process = self.spawn_invoke(function, event, log, subprocess.PIPE)
            answer = process.communicate()[0]
            log.seek(0)
            output = log.read().decode(errors="replace")
        return checked_answer(function, answer, output)

    def spawn_invoke(
        self, function: str, event: Path, log: IO[bytes], stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start `sam local invoke` of a function with the event in a file."""
        name = find_function(function)
        command = self.api.sam("invoke", name, "--event", str(event))
        return spawn(command, log=log, stdout=stdout, cwd=ROOT)


def checked_answer(function: str, answer: bytes, output: str) -> str:
    """Return a function's answer; raise LocalError if it is none, or an error.

    SAM itself exits with 0 in either case. `output` is its log.
    """
    try:
        result = json.loads(answer)
    except ValueError:
        result = {"errorMessage": f"no answer\n{output}"}
    if isinstance(result, dict) and "errorMessage" in result:
        raise LocalError(f"{function} failed: {result['errorMessage']}")
    return answer.decode().strip()


@contextmanager
def holding(state: Path) -> Iterator[None]:
    """Hold the state folder; raise Busy if another process does.

    The kernel releases it when the process ends, however it ends.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            entries = recorded(state)
            does = f"serves {entries['url']}" if entries.get("url") else "is running"
            launcher = entries.get("launcher", "another")
            raise Busy(f"Process {launcher} {does} already, from {state}.") from None
        yield


@contextmanager
def any_stack(state: Path, seconds: float = 120) -> Iterator[Stack]:
    """Yield the folder's running stack, or start its stores for the block."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with holding(state):
                stack = Stack(state)
                try:
                    stack.prepare()
                    stack.start_stores()
                    yield stack
                finally:
                    stack.stop()
                return
        except Busy:
            # `run` serves or is starting, or another command will end soon.
            if recorded(state).get("url"):
                yield Stack(state)
                return
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def recorded(state: Path) -> dict[str, Any]:
    """Return the content of processes.json, of this or of an earlier launcher."""
    try:
        entries: dict[str, Any] = json.loads((state / "processes.json").read_text())
    except FileNotFoundError:
        return {}
    return entries


def find_function(name: str) -> str:
    """Return the logical id of a function: generate -> GenerateFunction."""
    known = {path.parent.name for path in FUNCTIONS.glob("*/app.py")} - ONLY_ON_AWS
    if name not in known:
        raise LocalError(
            f"No function {name!r}. There are: {', '.join(sorted(known))}."
        )
    return f"{name.title()}Function"


def find_event(function: str, name: str) -> Path:
    """Return the file of one of a function's events."""
    known = sorted(path.stem for path in (EVENTS / function).glob("*.json"))
    if name not in known:
        names = ", ".join(known)
        raise LocalError(f"No event {name!r} of {function}. There are: {names}.")
    return EVENTS / function / f"{name}.json"


def bucket_cors(template: Path = TEMPLATE) -> list[dict[str, Any]]:
    """Return the CORS rules of the template's bucket, as the API of S3 has them."""
    bucket = parse_yaml_file(str(template))["Resources"]["QrBucket"]["Properties"]
    return [
        {
            "AllowedOrigins": rule["AllowedOrigins"],
            "AllowedMethods": rule["AllowedMethods"],
            "MaxAgeSeconds": rule["MaxAge"],
        }
        for rule in bucket["CorsConfiguration"]["CorsRules"]
    ]


def database_roles(template: Path = TEMPLATE) -> dict[str, str]:
    """Return the role in the DATABASE_URL of each function that has one."""
    roles = {}
    for name, resource in parse_yaml_file(str(template))["Resources"].items():
        environment = resource.get("Properties", {}).get("Environment", {})
        if url := environment.get("Variables", {}).get("DATABASE_URL"):
            text = url["Fn::Sub"]
            text = text if isinstance(text, str) else text[0]
            roles[name] = text.partition("://")[2].partition("@")[0]
    return roles


def cleanup_interval(template: Path = TEMPLATE) -> float:
    """Return the seconds between two cleanups, by the template's default."""
    parameters = parse_yaml_file(str(template))["Parameters"]
    return rate(parameters["CleanupSchedule"]["Default"])


def rate(expression: str) -> float:
    """Return the seconds of a rate, written as in `rate(1 hour)`."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if not found:
        raise LocalError(f"Only rate(...) schedules are run locally: {expression!r}.")
    return int(found[1]) * {"minute": 60.0, "hour": 3600.0, "day": 86400.0}[found[2]]


def _together(*tasks: Callable[[], object]) -> None:
    """Run tasks side by side; raise the first one's error when all have ended."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()
