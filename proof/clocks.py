"""One execution environment whose clock is wrong, beside the others."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from qr_service.config import settings
from qr_service.telemetry import logger

LIFE = timedelta(hours=1)
BODY = {"data": "https://example.com/clock", "expiration_hours": 1}
SLACK = timedelta(seconds=10)  # for the requests themselves, on a busy machine


@contextmanager
def environment(ahead: timedelta) -> Iterator[ProcessPoolExecutor]:
    """Yield a process in which the functions run, with a clock that is ahead."""
    with ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_set_clock,
        initargs=(ahead,),
    ) as pool:
        yield pool


def _set_clock(ahead: timedelta) -> None:
    logger.setLevel("CRITICAL")
    time_machine.travel(datetime.now(UTC) + ahead, tick=True).start()


def generate() -> tuple[int, dict[str, Any]]:
    """Return status and body of generate, in this process."""
    # Imported here, because the settings are read from the environment.
    import functions.generate.app as generate_app  # noqa: PLC0415
    from tests.support.gateway import post_generate  # noqa: PLC0415

    reply = post_generate(generate_app.handler, BODY)
    return reply.status, reply.body


def retrieve(qr_id: str, environment: dict[str, str]) -> int:
    """Return the status of retrieve with these variables, in this process."""
    os.environ.update(environment)
    settings.cache_clear()
    import functions.retrieve.app as retrieve_app  # noqa: PLC0415
    from tests.support.gateway import get_retrieve  # noqa: PLC0415

    return get_retrieve(retrieve_app.handler, qr_id).status
