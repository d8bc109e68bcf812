"""The way from release 1.0.0 to this tree, back, and here again, under traffic."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from local.http import Answer
from local.project import ROOT, architecture
from rehearsal.checks import check, expect
from rehearsal.deployment import Deployment

RELEASE = "29c27607aaf55ba7fb5a29481ad892561b6cdae2"  # 1.0.0
PAUSE = 0.1  # seconds between two requests of a client
REPLAYED = {"data": "https://example.com/before the upgrade"}


def has_release() -> bool:
    """Return whether the checkout's history has release 1.0.0."""
    command = ["git", "cat-file", "-e", f"{RELEASE}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return found.returncode == 0


class Upgrade:
    """A stack that begins as release 1.0.0, whose sources are put into `sources`."""

    def __init__(self, deployment: Deployment, sources: Path) -> None:
        self.deployment = deployment
        self.sources = sources
        self.built = sources.with_name("v1-build")
        self.codes: list[str] = []
        self.replayed: object = None  # the answer that the key gets each time
        self.batch: list[str] | None = None  # the codes of a batch, once it was sent

    def steps(self) -> list[Callable[[], None]]:
        """Return the steps in their order."""
        return [self.install, self.upgrade, self.roll_back, self.upgrade_again]

    def install(self) -> None:
        """Release 1.0.0 is deployed beside it, and creates codes (sam deploy)."""
        self.sources.mkdir()
        archive = ["git", "archive", RELEASE]
        packed = subprocess.run(archive, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        unpack = ["tar", "-x", "-C", str(self.sources)]
        subprocess.run(unpack, input=packed.stdout, check=True)
        self.deployment.sam(
            *("build", "--template-file", str(self.sources / "template.yaml")),
            *("--build-dir", str(self.built), "--no-cached"),
            *("--parameter-overrides", f"Architecture={architecture()}"),
            offline=True,
        )
        self._deploy_release()
        self.replayed = self._created(self._post(REPLAYED, {"Idempotency-Key": "one"}))
        self.codes = [self._new_code() for _ in range(3)]

    def upgrade(self) -> None:
        """Release 1.0.0 is upgraded: no request fails, no code and no key is lost."""
        with self._traffic():
            self.deployment.deploy(
                Production="false",
                Rollout="AllAtOnce",
                ManageApiGatewayAccount="false",
                FormerRole="true",
            )
        self._check_batch()
        self._check_codes()

    def roll_back(self) -> None:
        """Release 1.0.0 is deployed again, and serves the codes of both likewise."""
        with self._traffic():
            self._deploy_release()
        self._check_codes()

    def upgrade_again(self) -> None:
        """Release 1.0.0 is upgraded again, likewise; its stack is deleted."""
        self.upgrade()
        self.deployment.delete()

    def _deploy_release(self) -> None:
        self.deployment.deploy_template(
            self.built / "template.yaml",
            Architecture=architecture(),
            Stage=self.deployment.stage,
            ManageApiGatewayAccount="false",
        )

    def _post(self, body: object, headers: dict[str, str] | None = None) -> Answer:
        key = {"X-Api-Key": self.deployment.api_key}
        return self.deployment.call("POST", "/generate", body, key | (headers or {}))

    @staticmethod
    def _created(answer: Answer) -> object:
        expect(answer, 201)
        return answer.json

    def _new_code(self) -> str:
        answer = self._post({"data": f"https://example.com/{len(self.codes)}"})
        expect(answer, 201)
        return str(answer.json["qr_id"])

    def _check_replay(self) -> None:
        answer = self._post(REPLAYED, {"Idempotency-Key": "one"})
        same = self._created(answer) == self.replayed
        check(same, f"not a replay of {self.replayed}: {answer}")

    def _check_batch(self) -> None:
        """Raise LocalError unless a batch makes codes once, also after a roll-back."""
        body = {"items": [{"ref": f"{n}", "data": f"batch {n}"} for n in range(100)]}
        key = {"X-Api-Key": self.deployment.api_key, "Idempotency-Key": "a batch"}
        answer = self.deployment.call("POST", "/generate/batch", body, key)
        expect(answer, 200)
        made = [each["qr_id"] for each in answer.json["results"]]
        check(self.batch in (None, made), f"the batch made {made} after {self.batch}")
        if self.batch is None:
            self.codes += made
        self.batch = made

    def _check_codes(self) -> None:
        """Raise LocalError unless every code so far has its image, and the key."""
        self._check_replay()
        for code in self.codes:
            found = self.deployment.call("GET", f"/retrieve/{code}")
            expect(found, 200)
            expect(self.deployment.call("GET", found.json["qr_code"]), 200)

    @contextmanager
    def _traffic(self) -> Iterator[None]:
        """Create, retrieve and replay during the block; each answer must be right."""
        over = threading.Event()
        known = self.codes[0]

        def repeat(request: Callable[[], object]) -> int:
            sent = 0
            while not over.wait(PAUSE):
                request()
                sent += 1
            return sent

        def retrieve() -> None:
            expect(self.deployment.call("GET", f"/retrieve/{known}"), 200)

        def create() -> None:
            self.codes.append(self._new_code())

        with ThreadPoolExecutor(3) as pool:
            clients = [
                pool.submit(repeat, request)
                for request in (retrieve, create, self._check_replay)
            ]
            try:
                yield
            finally:
                over.set()
            for client in clients:
                check(client.result(), "No request was sent meanwhile.")
