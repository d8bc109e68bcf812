"""The servers of a rehearsal: Debian's PostgreSQL and Redis with TLS, and MiniStack.

The wheels that `make run` uses were built without TLS. Each server has its own folder
and a free port, and ends with the process that started it.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import redis

from local.processes import LocalError, free_port, listening, wait_until
from local.project import ROOT
from local.servers import (
    HOST,
    Server,
    initdb,
    ministack_environment,
    ministack_python,
    root_keys,
    without_root,
)

REGION = "eu-central-1"
ADMINISTRATOR = "rehearsal"  # of the cache; the template has no such user


@dataclass(frozen=True, slots=True)
class Tools:
    """PostgreSQL's folder of programs, and redis-server's path."""

    postgresql: Path
    redis_server: str


def debian_tools() -> Tools:
    """Return the installed tools; raise LocalError that names the missing ones."""
    versions = sorted(
        (path for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")),
        key=lambda path: int(path.parent.parent.name),
    )
    redis_server = shutil.which("redis-server")
    tools = {
        "postgresql": versions,
        "redis-server": redis_server,
        "redis-tools": shutil.which("redis-cli"),
        "openssl": shutil.which("openssl"),
    }
    missing = [package for package, found in tools.items() if not found]
    if missing or not redis_server:
        names = " ".join(missing)
        raise LocalError(
            "The rehearsal needs a PostgreSQL and a Redis with TLS. On Debian and"
            f" Ubuntu: `make packages`, or apt install {names} (their services need not"
            " run)."
        )
    return Tools(versions[-1].parent, redis_server)


class Certificate:
    """A temporary certificate for 127.0.0.1 that is its own authority."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "tls.crt"
        self.key = folder / "tls.key"

    def create(self) -> None:
        """Create the certificate, valid for two days."""
        command = ["openssl", "req", "-x509", "-days", "2", "-nodes"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-subj", "/CN=rehearsal", "-addext", f"subjectAltName=IP:{HOST}"]
        command += ["-addext", "basicConstraints=critical,CA:TRUE"]
        command += ["-keyout", str(self.key), "-out", str(self.certificate)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalError(f"openssl created no certificate:\n{done.stderr}")
        self.key.chmod(0o600)


class Database(Server):
    """PostgreSQL that accepts members of `rds_iam` by TLS and a token, as RDS does.

    The emulator's LDAP directory checks the token. The superuser connects through a
    Unix socket in a folder that nobody else can access.
    """

    name = "PostgreSQL"
    stop_signal = death_signal = signal.SIGINT  # the "fast" shutdown

    def __init__(self, folder: Path, tools: Tools, tls: Certificate) -> None:
        super().__init__(folder)
        self.programs = tools.postgresql
        self.tls = tls
        self.ldap_port = 0  # set by prepare()
        self.data = self.folder / "data"

    def command_prefix(self) -> Sequence[str]:
        """Return a prefix that drops root: PostgreSQL does not run as root."""
        return without_root()

    def command(self) -> list[str]:
        """Return postgres with TLS and with its default log settings."""
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.folder,
            "hba_file": self.folder / "pg_hba.conf",
            "ssl": "on",
            "ssl_cert_file": self.tls.certificate,
            "ssl_key_file": self.tls.key,
            "fsync": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self.programs / "postgres"), "-D", str(self.data), *options]

    def prepare(self) -> None:
        """Create the cluster and the rule for logins with tokens, once."""
        super().prepare()
        if self.ldap_port:
            return
        self.ldap_port = free_port()
        login = f'ldap ldapserver={HOST} ldapport={self.ldap_port} ldapprefix="uid="'
        (self.folder / "pg_hba.conf").write_text(
            f"local all postgres trust\nhostssl all +rds_iam {HOST}/32 {login}\n"
        )
        initdb(self.programs, self.data, "postgres", "--auth=reject", "--no-sync")

    def answers(self) -> bool:
        """Return whether the superuser can log in."""
        try:
            self.execute("SELECT 1", database="postgres")
        except psycopg2.OperationalError:
            return False
        return True

    def connect(self, database: str = "qrcodes") -> Any:
        """Return a superuser's connection that commits each statement."""
        connection = psycopg2.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database
        )
        connection.autocommit = True
        return connection

    def psql(self) -> list[str]:
        """Return the command of psql as superuser."""
        command = [str(self.programs / "psql"), "-h", str(self.folder)]
        return [*command, "-p", str(self.port), "-U", "postgres"]

    def execute(
        self, statement: str, values: Sequence[object] = (), database: str = "qrcodes"
    ) -> list[tuple[Any, ...]]:
        """Run one statement as superuser; return its rows."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


class Cache(Server):
    """Redis with TLS and the cluster protocol, all slots on this one node.

    Until the emulator adds the template's user, only an administrator with a random
    password can log in, on the Unix socket as well.
    """

    name = "Redis"

    def __init__(self, folder: Path, tools: Tools, tls: Certificate) -> None:
        super().__init__(folder)
        self.program = tools.redis_server
        self.tls = tls
        self.socket = self.folder / "socket"
        self.password = ""  # set by prepare()

    def command(self) -> list[str]:
        """Return redis-server with a settings file, which contains the password."""
        return [self.program, str(self.folder / "redis.conf")]

    def prepare(self) -> None:
        """Write the settings file, with a new password for the administrator."""
        super().prepare()
        if self.password:
            return
        self.password = secrets.token_urlsafe(24)
        settings = {
            "bind": HOST,
            "port": 0,
            "tls-port": self.port,
            "tls-cert-file": self.tls.certificate,
            "tls-key-file": self.tls.key,
            "tls-ca-cert-file": self.tls.certificate,
            "tls-auth-clients": "no",
            "tls-cluster": "yes",
            "cluster-enabled": "yes",
            "cluster-port": free_port(),
            "cluster-announce-ip": HOST,
            "unixsocket": self.socket,
            "dir": self.folder,
            "save": '""',
        }
        users = f"user default off\nuser {ADMINISTRATOR} on >{self.password} ~* +@all\n"
        configuration = self.folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items()) + users
        )

    def start(self, seconds: float = 30) -> None:
        """Start the server and assign all slots to it."""
        super().start(seconds)
        self.execute("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        def ready() -> bool:
            return "cluster_state:ok" in str(self.execute("CLUSTER", "INFO"))

        if not wait_until(ready, seconds):
            raise LocalError("Redis did not form a cluster in time.")

    def answers(self) -> bool:
        """Return whether the administrator can log in."""
        try:
            return bool(self.execute("PING"))
        except redis.ConnectionError:
            return False

    def redis_cli(self) -> list[str]:
        """Return the command of redis-cli as administrator; it needs the password."""
        return ["redis-cli", "-s", str(self.socket), "--user", ADMINISTRATOR]

    def execute(self, *command: object) -> Any:
        """Run one command as administrator."""
        client: Any = redis.Redis(  # the stubs of its commands are incomplete
            unix_socket_path=str(self.socket),
            username=ADMINISTRATOR,
            password=self.password,
            decode_responses=True,
        )
        try:
            return client.execute_command(*command)
        finally:
            client.close()


class Emulator(Server):
    """MiniStack with IAM enforced, which runs each function in its own process.

    It serves HTTPS, and on a second port plain HTTP, which the bucket's policy refuses.
    """

    name = "Emulator"
    stop_signal = signal.SIGKILL  # SIGTERM waits for connections that are kept open

    def __init__(
        self,
        folder: Path,
        tls: Certificate,
        trusted: Path,
        databases: Sequence[Database],
        caches: Sequence[Cache],
    ) -> None:
        super().__init__(folder)
        self.tls = tls
        self.trusted = trusted
        self.databases = databases
        self.caches = caches
        self.cwd = ROOT
        self.settings = self.folder / "settings.json"
        self.plain_port = 0  # set by prepare(), like the keys
        self.access_key = self.secret_key = ""

    @property
    def endpoint_url(self) -> str:
        """The URL of the port with TLS."""
        return f"https://{HOST}:{self.port}"

    def prepare(self) -> None:
        """Create keys and write the settings, once all other servers are prepared."""
        super().prepare()
        if self.access_key:
            return
        self.plain_port = free_port()
        keys = root_keys()
        self.access_key, self.secret_key = keys["access_key"], keys["secret_key"]
        self._write_settings()
        temporary = self.folder / "tmp"
        temporary.mkdir()
        trusted = str(self.trusted)
        self.environment = {
            **ministack_environment(temporary, self.port, REGION, **keys),
            "PATH": os.environ["PATH"],
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(self.tls.certificate),
            "MINISTACK_SSL_KEY": str(self.tls.key),
            # The authorities that functions trust, instead of the system's and of the
            # layer's. The clients of S3 and of the cache use the system's as well.
            "SSL_CERT_FILE": trusted,
            "AWS_CA_BUNDLE": trusted,
            "CA_BUNDLE": trusted,
            "S3_ENDPOINT_URL": self.endpoint_url,
            # The timeout that functions see, in seconds. A migration waits for its
            # database until 30 s are left.
            "_LAMBDA_TIMEOUT": "45",
        }

    def _write_settings(self) -> None:
        databases = [
            {
                "psql": database.psql(),
                "port": database.port,
                "ldap_port": database.ldap_port,
            }
            for database in self.databases
        ]
        caches = [
            {
                "redis_cli": cache.redis_cli(),
                "port": cache.port,
                "password": cache.password,
            }
            for cache in self.caches
        ]
        settings = {
            "python": f"{sys.prefix}-lambda/bin/python",
            "plain_port": self.plain_port,
            "host": HOST,
            "databases": databases,
            "caches": caches,
        }
        self.settings.touch(mode=0o600)
        self.settings.write_text(json.dumps(settings))

    def command(self) -> list[str]:
        """Return the emulator's command, with the Python of MiniStack's environment."""
        return [ministack_python(), "-m", "rehearsal.ministack", str(self.settings)]

    def answers(self) -> bool:
        """Return whether it accepts connections."""
        return listening(self.port) and listening(self.plain_port)
