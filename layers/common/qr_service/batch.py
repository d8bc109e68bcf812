"""How the items of a batch share its time, and the connections to S3.

Images are drawn one after the other, and each is put while the next are drawn. An item
that does not fit into the time is not begun.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Images that are put at once. A PUT takes some 30 ms, and drawing an image 10 ms.
CONNECTIONS = 8
SECONDS = 25.0  # in which a batch is answered; API Gateway waits for 29
# The longest that may follow once the last item is begun: its PUT, then the INSERT.
RESERVE = 11.0


def time_left() -> Callable[[], bool]:
    """Return a function that says whether another item of a new batch may be begun."""
    deadline = time.monotonic() + SECONDS - RESERVE
    return lambda: time.monotonic() < deadline


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CONNECTIONS)


def at_once(do: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Do something with each item in a thread; take one more than there are threads."""
    running: deque[Future[Result]] = deque()
    for item in items:
        if len(running) == CONNECTIONS:
            yield running.popleft().result()
        running.append(_threads().submit(do, item))
    for future in running:
        yield future.result()
