import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from dqh.service.batches import Batches

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """In a loop of its own: that of this thread may belong to a browser that another test has opened."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(main())).result()


def test_those_that_come_meanwhile_are_one_batch() -> None:
    """The first is answered alone; with batches of at most four the seven that came meanwhile are two more."""
    entered, released, batches = threading.Event(), threading.Event(), []

    def answer(items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        entered.set()
        assert released.wait(10)
        return [item + 100 for item in items]

    async def main() -> list[int]:
        with ThreadPoolExecutor(1) as threads:
            together = Batches(answer, threads, most=4)
            first = asyncio.create_task(together(0))
            while not entered.is_set():
                await asyncio.sleep(0)
            others = [asyncio.create_task(together(number)) for number in range(1, 8)]
            await asyncio.sleep(0)
            released.set()
            return await asyncio.gather(first, *others)

    assert run(main) == list(range(100, 108))
    assert batches == [[0], [1, 2, 3, 4], [5, 6, 7]]


def test_each_gets_its_own_error_and_those_that_were_given_up_none() -> None:
    def answer(items: Sequence[int]) -> list[float | Exception]:
        return [1 / item if item else ZeroDivisionError("zero") for item in items]

    async def main() -> list[float | BaseException]:
        with ThreadPoolExecutor(1) as threads:
            together = Batches(answer, threads, most=9)
            calls = [asyncio.create_task(together(number)) for number in (2, 0, 4, 5)]
            await asyncio.sleep(0)
            calls[2].cancel()
            return await asyncio.gather(*calls, return_exceptions=True)

    half, zero, cancelled, fifth = run(main)
    assert (half, fifth) == (0.5, 0.2)
    assert isinstance(zero, ZeroDivisionError)
    assert isinstance(cancelled, asyncio.CancelledError)


def test_after_an_error_of_the_batch_the_next_is_answered() -> None:
    def answer(items: Sequence[int]) -> list[int | Exception]:
        if -1 in items:
            raise RuntimeError("no answers")
        return list(items)

    async def main() -> int:
        with ThreadPoolExecutor(1) as threads:
            together = Batches(answer, threads, most=2)
            with pytest.raises(RuntimeError, match="no answers"):
                await together(-1)
            return await together(3)

    assert run(main) == 3
