"""The system of `make sam-local`, started once, and the answers to all events."""

import gc
import json
import os
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.containers.api import ContainerAPI
from local.containers.engine import LABEL, engine
from local.http import post
from local.processes import LocalError
from local.project import EVENTS, ROOT
from local.stack import find_function
from tests.support.database import query
from tests.support.examples import (
    ALL,
    CONTAINER_DATA,
    OWNER,
    SCANNED,
    SLUG,
    STORED,
)
from tests.support.launcher import Launcher

AT_ONCE = 3  # each `sam local invoke` uses most of a processor


def pytest_sessionstart():
    """Exit with one message, not one per test, if there is no container engine."""
    refusal = ""
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        try:
            engine().close()
        except LocalError as error:
            refusal = str(error)
        gc.collect()  # docker's client leaves a socket open if no engine answers
    if refusal:
        pytest.exit(refusal, 1)


class SamLocal(Launcher):
    """`python -m local sam-local` with a state folder."""

    def command(self, *arguments):
        # All other commands are the same.
        known = {"run": "sam-local"}
        return super().command(*(known.get(each, each) for each in arguments))

    def environment(self):
        engines = {k: v for k, v in os.environ.items() if k.startswith("DOCKER_")}
        return super().environment() | engines

    @property
    def api(self):
        return ContainerAPI(self.state)

    def invoke(self, event):
        """Return the output and errors of `sam local invoke`; ignore its exit code."""
        function, path = event.split("/")[0], EVENTS / f"{event}.json"
        done = subprocess.run(
            self.api.sam("invoke", find_function(function), "--event", str(path)),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout, done.stderr

    def answer(self, event):
        """Return the function's JSON answer to an example event."""
        answer, errors = self.invoke(event)
        assert answer, errors
        return json.loads(answer)

    def query(self, statement, *parameters):
        """Return rows, as the database's admin sees them."""
        variables = json.loads((self.state / "env.json").read_text())
        url = variables["MigrateFunction"]["DATABASE_URL"]
        return query(url, statement, *parameters)

    def containers(self):
        """Return the attributes of its containers, by function name."""
        ours = {"label": f"{LABEL}={self.state}"}
        client = engine()
        found = client.containers.list(all=True, filters=ours)
        client.close()
        return {each.labels["sam.cli.function.name"]: each.attrs for each in found}


@pytest.fixture(scope="session")
def sam_local(tmp_path_factory):
    launcher = SamLocal(tmp_path_factory.mktemp("sam-local"))
    launcher.api.build()  # no time limit: image and first build can take minutes
    launcher.start()
    try:
        yield launcher
    finally:
        launcher.discard()
    assert launcher.containers() == {}


@pytest.fixture(scope="session")
def answer_of(sam_local):
    """Return a function from the name of an example event to its answer."""
    for qr_id in STORED:
        made = post(f"{sam_local.url}/generate", {"data": CONTAINER_DATA}).json
        sam_local.query(
            "UPDATE qr_codes SET id = %s, owner = %s WHERE id = %s",
            qr_id,
            OWNER,
            made["qr_id"],
        )
    fields = {"data": CONTAINER_DATA, "dynamic": True, "expiration_hours": 1}
    made = post(f"{sam_local.url}/generate", fields).json
    sam_local.query(
        "UPDATE qr_codes SET id = %s, owner = %s, slug = %s WHERE id = %s",
        SCANNED,
        OWNER,
        SLUG,
        made["qr_id"],
    )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = dict(zip(ALL, pool.map(sam_local.invoke, ALL), strict=True))

    def answer_of(event):
        answer, errors = results[event]
        assert answer, errors
        return json.loads(answer)

    return answer_of
