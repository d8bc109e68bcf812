"""python -m local run | invoke | cleanup | migrate | key | transfer | psql: --help."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from psycopg2.extensions import parse_dsn

from local import keys
from local.processes import LocalError, free_port
from local.project import ROOT
from local.servers import postgresql_programs
from local.stack import API, Stack, any_stack, holding
from local.supervisor import say, supervise

DATA = '{"data":"https://example.com","expiration_hours":24}'


def run(state: Path, port: int, api: type[API] = API) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; a second one ends without waiting."""
    began = time.monotonic()
    interrupted = threading.Event()

    def interrupt(*_: object) -> None:
        # Python loses an exception that is raised within a finalizer, so what was
        # requested is also remembered, and `supervise` looks.
        interrupted.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    with holding(state):
        if port and free_port(port) != port:
            other = f"Choose another: make {api.target} PORT={port + 1}"
            raise LocalError(f"Port {port} is in use. {other}")
        stack = Stack(state, api)
        stack.prepare(port)
        try:
            stack.start(lambda what: say(f"{time.monotonic() - began:5.1f} s  {what}"))
            print(f"Serving {stack.url}  (Ctrl-C stops it; logs: {stack.logs})")
            print(f"Studio: {stack.url}/")
            print(f"Try: curl -X POST {stack.url}/generate -d '{DATA}'", flush=True)
            supervise(stack, interrupted.is_set)
        except KeyboardInterrupt:
            pass
        finally:
            if interrupted.is_set():
                say("Stopping ...")
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                # The kernel ends the children together with us.
                signal.signal(number, lambda *_: os._exit(130))
            stack.stop()


def invoke(state: Path, function: str, event: str) -> None:
    """Print a function's answer to an event, and nothing else."""
    with any_stack(state) as stack:
        if function != "migrate":
            stack.migrate()
        print(stack.invoke(function, event))


def key(state: Path, name: str) -> None:
    """Create an API key, and print it."""
    value = keys.create(state, name)
    print(f"{name}: {value}")
    print("From now on, requests that create or manage codes need a key here.")


def transfer(state: Path, source: str, target: str) -> None:
    """Give all codes of one key to another."""
    event = {"transfer": {"from": source, "to": target}}
    with any_stack(state) as stack, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "event.json"
        file.write_text(json.dumps(event))
        stack.migrate()
        done, complete = 0, False
        while not complete:
            answer = json.loads(stack.invoke("manage", file))
            done, complete = done + answer["done"], answer["complete"]
            print(f"{done} codes of {source} belong to {target}", flush=True)


def psql(state: Path, arguments: Sequence[str]) -> int:
    """Open the database as its administrator; return psql's exit code."""
    with any_stack(state) as stack:
        variables = json.loads(stack.api.variables.read_text())
        login = parse_dsn(variables["MigrateFunction"]["DATABASE_URL"])
        # In the environment, where `ps` does not show the password.
        names = {"user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
        names |= {"host": "PGHOST", "port": "PGPORT"}
        environment = {names[name]: value for name, value in login.items()}
        # Ctrl-C cancels a statement of psql; it does not end us.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        program = str(postgresql_programs() / "psql")
        command = [program, "--no-psqlrc", *arguments]
        return subprocess.run(
            command, env=os.environ | environment, check=False
        ).returncode


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def perform(given: argparse.Namespace) -> int:
    """Do what the arguments say; return the exit code."""
    state = given.state.absolute()
    match given.command:
        case "run":
            run(state, given.port)
        case "sam-local":
            # Its client of the engine takes 0.2 s to import.
            from local.containers.api import ContainerAPI  # noqa: PLC0415

            run(state, given.port, ContainerAPI)
        case "invoke":
            invoke(state, given.function, given.event)
        case "cleanup":
            invoke(state, "cleanup", "manual")
        case "migrate":
            invoke(state, "migrate", "apply")
        case "key":
            key(state, given.name)
        case "transfer":
            transfer(state, given.source, given.target)
        case "psql":
            return psql(state, given.arguments)
    return 0


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local")
    parser.add_argument(
        "--state",
        type=Path,
        default=ROOT / ".local",
        help="folder of data, passwords and logs (default: .local)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    served = argparse.ArgumentParser(add_help=False)
    served.add_argument(
        "--port", type=_port, default=3000, help="0 to 65535; 0: any free one"
    )
    commands.add_parser("run", help="serve the API until Ctrl-C", parents=[served])
    commands.add_parser(
        "sam-local", help="the same, with functions in containers", parents=[served]
    )
    command = commands.add_parser("invoke", help="run a function with an event")
    command.add_argument("function", help="a folder of functions/")
    command.add_argument("event", help="the name of a file in events/FUNCTION/")
    commands.add_parser("cleanup", help="erase expired codes now")
    commands.add_parser("migrate", help="apply the migrations that are missing")
    command = commands.add_parser("key", help="create an API key")
    command.add_argument("name", help="its name, which owns what it creates")
    command = commands.add_parser("transfer", help="give codes to another key")
    command.add_argument("source", help="the name of the key that has them")
    command.add_argument("target", help="the name of the key that gets them")
    command = commands.add_parser("psql", help="open the database")
    command.add_argument("arguments", nargs="*", help="of psql, after --")
    given = parser.parse_args()
    try:
        return perform(given)
    except LocalError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
