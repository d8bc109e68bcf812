"""HTTP clients of a running system, which keep what they were answered."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from uuid import uuid4

from local.http import Answer, Unreachable, call, get
from proof.audit import Acknowledged, text_of

HOURS = 24
CREATED, FOUND, UNAVAILABLE = 201, 200, 503
# API Gateway's own answers; SAM says 500 where AWS says 502.
WITHOUT_FUNCTION = {500, 502, 504}
SHORT, LONG = 0.02, 0.2  # seconds between requests, after a right and a wrong answer
CLIENTS = 2  # of each route


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: when it was sent and answered, and with what status; 0 is none."""

    route: str
    began: float
    ended: float
    status: int
    has_retry_after: bool

    @property
    def is_right(self) -> bool:
        """Whether it did what it is for."""
        return self.status in (CREATED, FOUND)

    def is_refused_well(self, *, function_killed: bool) -> bool:
        """Whether it says what a failed request must say."""
        if self.status == UNAVAILABLE:
            return self.has_retry_after
        return function_killed and self.status in WITHOUT_FUNCTION


@dataclass(slots=True)
class Traffic:
    """Clients that create codes, two of three with a key, and retrieve them."""

    url: str
    name: str  # by which its texts differ from those of others
    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    pending: dict[str, str] = field(default_factory=dict)  # texts by key
    numbers: Iterator[int] = field(default_factory=count)
    rng: Random = field(default_factory=lambda: Random(1))  # noqa: S311

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send requests during the block, and let those on their way end."""
        over = threading.Event()

        def repeat(request: Callable[[], bool]) -> None:
            while not over.is_set():
                over.wait(SHORT if request() else LONG)

        with ThreadPoolExecutor(2 * CLIENTS) as pool:
            each = [self._create, self._retrieve] * CLIENTS
            clients = [pool.submit(repeat, request) for request in each]
            try:
                yield
            finally:
                over.set()
            for client in clients:
                client.result()

    def settle(self, seconds: float) -> None:
        """Repeat the requests whose key has no answer yet, as a client would."""
        deadline = time.monotonic() + seconds
        while self.pending and time.monotonic() < deadline:
            key, text = next(iter(self.pending.items()))
            if not self._post(text, key):
                time.sleep(LONG)

    def lost(self, acknowledged: list[Acknowledged]) -> list[str]:
        """Return the codes whose image cannot be had, or says something else."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            kept = list(pool.map(self._is_kept, acknowledged))
        return [
            code.qr_id
            for code, is_kept in zip(acknowledged, kept, strict=True)
            if not is_kept
        ]

    def _create(self) -> bool:
        text = f"{self.name}, {next(self.numbers)}"
        if self.rng.randrange(3) == 0:
            return self._post(text, None)
        key = str(uuid4())
        self.pending[key] = text
        return self._post(text, key) or self._post(text, key)

    def _post(self, text: str, key: str | None) -> bool:
        self.texts.add(text)
        headers = {"Idempotency-Key": key} if key else {}
        body = {"data": text, "expiration_hours": HOURS}
        answer = self._send("POST", "/generate", body, headers)
        if answer is None or answer.status != CREATED:
            return False
        self.acknowledged.append(
            Acknowledged(
                "anonymous",
                key,
                text.encode(),
                answer.json,
                datetime.fromisoformat(answer.json["expires_at"]),
                timedelta(hours=HOURS),
            )
        )
        if key:
            self.pending.pop(key, None)
        return True

    def _retrieve(self) -> bool:
        if not self.acknowledged:
            return False
        code = self.rng.choice(self.acknowledged)
        answer = self._send("GET", f"/retrieve/{code.qr_id}")
        return answer is not None and answer.status == FOUND

    def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer | None:
        began = time.monotonic()
        try:
            answer = call(method, f"{self.url}{path}", body, headers)
        except Unreachable:
            answer = None
        self.sent.append(
            Sent(
                f"{method} /{path.split('/')[1]}",
                began,
                time.monotonic(),
                answer.status if answer else 0,
                bool(answer and answer.headers.get("Retry-After")),
            )
        )
        return answer

    def _is_kept(self, code: Acknowledged) -> bool:
        found = get(f"{self.url}/retrieve/{code.qr_id}")
        if found.status != FOUND:
            return False
        image = get(found.json["qr_code"])
        return image.status == FOUND and text_of(image.body).encode() == code.digest
