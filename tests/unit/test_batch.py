"""How the items of a batch share connections."""

import threading

import pytest
from qr_service.batch import CONNECTIONS, at_once


def test_as_many_items_are_taken_as_have_a_thread():
    taken, go_on = [], threading.Semaphore(0)

    def items():
        for number in range(3 * CONNECTIONS):
            taken.append(number)
            yield number

    def wait(number):
        go_on.acquire()
        return number

    done = at_once(wait, items())
    threading.Timer(0.1, lambda: go_on.release(3 * CONNECTIONS)).start()
    first = next(done)
    assert len(taken) == CONNECTIONS + 1
    assert [first, *done] == [*range(3 * CONNECTIONS)]


def test_what_one_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(at_once(lambda number: 1 / number, [1, 0, 2]))
