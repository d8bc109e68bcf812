"""A fresh clone of this repository's last commit, used as a new user does.

Home and pip cache are empty. The environment contains only what a shell needs to reach
the package index. The tests run only commands of the README.
"""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
import redis

from local.processes import alive, descendants, free_port, kill, wait_until
from local.project import ROOT
from tests.support.database import query

# What a company's proxy, mirror and certificates need.
NETWORK = ("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA_BUNDLE", "HTTP", "http", "no_proxy")


class Clone:
    """A clone; `started` is the start-up time of each `make run`, in seconds."""

    def __init__(self, folder):
        self.folder = folder / "service"
        self.home = folder / "home"
        self.home.mkdir()
        self.port = free_port()
        self.started = []
        self.process = None
        self.log = folder / "make-run.log"
        self.earlier_logs = []
        subprocess.run(
            ["git", "clone", "--quiet", ROOT, self.folder], check=True, timeout=60
        )

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if k.startswith(NETWORK)}
        return kept | {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PIP_CACHE_DIR": str(self.home / "empty-pip-cache"),
            "UV_CACHE_DIR": str(self.home / "empty-uv-cache"),
            "PYTHON": sys._base_executable,
        }

    def make(self, *arguments):
        """Run `make` to its end; return its standard output."""
        done = subprocess.run(
            ["make", "--silent", *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self):
        """Start `make run`; wait until it reports that it serves."""
        begin = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["make", "run", f"PORT={self.port}"],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: self.process.poll() is not None or self.try_line, 300)
        assert self.try_line, self.log.read_text()
        self.started.append(time.monotonic() - begin)

    @property
    def try_line(self):
        """The example command that `make run` prints."""
        lines = self.log.read_text().splitlines()
        return next((line[5:] for line in lines if line.startswith("Try: ")), "")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def processes(self):
        return json.loads((self.folder / ".local" / "processes.json").read_text())

    def family(self):
        """Return the ids of the launcher and of its processes."""
        launcher = self.processes["launcher"]
        return [launcher, *descendants(launcher)]

    def end(self, how):
        """Send a signal to the launcher; return the pids that still run after it."""
        family = self.family()
        self.earlier_logs += self._logs()
        os.kill(family[0], how)
        self.process.wait(60)
        wait_until(lambda: not any(map(alive, family)), 10)
        return [pid for pid in family if alive(pid)]

    def discard(self):
        if self.process is not None and self.process.poll() is None:
            family = [self.process.pid, *descendants(self.process.pid)]
            self.process.terminate()
            try:
                self.process.wait(60)
            finally:
                kill(family)

    def variables(self):
        return json.loads((self.folder / ".local" / "env.json").read_text())

    def query(self, statement, *parameters):
        """Return rows, as the database's admin sees them."""
        url = self.variables()["MigrateFunction"]["DATABASE_URL"]
        return query(url, statement, *parameters)

    def cache(self):
        return redis.Redis(port=self.processes["Valkey"]["port"])

    def logs(self):
        """Return all logs so far: of servers and functions, and of the terminal."""
        return self.earlier_logs + self._logs()

    def _logs(self):
        files = [self.log, *(self.folder / ".local" / "logs").glob("*.log")]
        return [file.read_text(errors="replace") for file in files]


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    clone = Clone(folder)
    try:
        yield clone
    finally:
        try:
            clone.discard()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def client(clone):
    """Install the client of client/ by pip; return the folder of its programs."""
    folder = clone.folder.parent / "client"
    subprocess.run([clone.environment()["PYTHON"], "-m", "venv", folder], check=True)
    install = [folder / "bin/pip", "install", "--quiet", clone.folder / "client"]
    subprocess.run(install, check=True, env=clone.environment(), timeout=240)
    return folder / "bin"


@pytest.fixture
def running(clone):
    if clone.process is None or clone.process.poll() is not None:
        clone.run()
    return clone
