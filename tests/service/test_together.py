import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dqh.service.together import Together


def test_one_alone_is_run_at_once() -> None:
    sizes: list[int] = []
    assert Together(lambda items: [2 * item for item in items], most=4, seen=sizes.append)(21) == 42
    assert sizes == [1]


def test_those_that_come_meanwhile_are_one_batch() -> None:
    """The first holds its turn until seven others wait; with batches of at most four these are two more."""
    entered, released, batches = threading.Event(), threading.Event(), []

    def run(items: list[int]) -> list[int]:
        batches.append(sorted(items))
        entered.set()
        assert released.wait(10)
        return [item + 100 for item in items]

    together = Together(run, most=4)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(together, 0)
        assert entered.wait(10)
        others = [threads.submit(together, number) for number in range(1, 8)]
        while len(together._waiting) < 7:
            threading.Event().wait(0.001)
        released.set()
        assert first.result(10) == 100
        assert [other.result(10) for other in others] == list(range(101, 108))
    assert [len(batch) for batch in batches] == [1, 4, 3]
    assert sorted(number for batch in batches for number in batch) == list(range(8))


def test_one_that_fails_does_not_spoil_the_others() -> None:
    entered, released = threading.Event(), threading.Event()

    def run(items: list[int]) -> list[float]:
        entered.set()
        assert released.wait(10)
        return [1 / item for item in items]

    together = Together(run, most=8)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(together, 1)
        assert entered.wait(10)
        others = [threads.submit(together, number) for number in (2, 0, 4)]
        while len(together._waiting) < 3:
            threading.Event().wait(0.001)
        released.set()
        assert [first.result(10), others[0].result(10), others[2].result(10)] == [1, 0.5, 0.25]
        with pytest.raises(ZeroDivisionError):
            others[1].result(10)


def test_after_an_error_the_next_is_run() -> None:
    together = Together(lambda items: [1 // item for item in items], most=2)
    with pytest.raises(ZeroDivisionError):
        together(0)
    assert together(1) == 1


def test_many_threads_get_their_own() -> None:
    together = Together(lambda items: [item * item for item in items], most=5)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(together, range(500))) == [number * number for number in range(500)]
