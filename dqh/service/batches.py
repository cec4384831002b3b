"""Calls of an event loop that come at the same time, answered as one batch by one thread.

Threads of their own would wait for each other more than they work, as all need the interpreter. What is asked by
threads, which wait for files and processes beside it, is brought together by `dqh.service.together`.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

MOST = 32
"""Requests of a batch."""

T = TypeVar("T")
R = TypeVar("R")


class Batches(Generic[T, R]):
    """Answers the calls of an event loop, a batch at a time.

    The first call is answered alone; those that come meanwhile are the next batch. So nobody waits for others to come,
    and batches are as large as the load makes them.

    Args:
        answer: gives an answer, or the error that is its answer, for each item, in their order; runs in a thread.
        threads: that it runs in.
        most: items of a batch.
    """

    def __init__(
        self, answer: Callable[[Sequence[T]], Sequence[R | Exception]], threads: Executor, *, most: int
    ) -> None:
        self._answer, self._threads, self._most = answer, threads, most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """The answer for an item; errors are those of `answer`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = loop.create_task(self._run(loop))
        return await future

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer until nobody waits."""
        while batch := self._waiting[: self._most]:
            del self._waiting[: self._most]
            answers: Sequence[R | Exception]
            try:
                answers = await loop.run_in_executor(self._threads, self._answer, [item for item, _ in batch])
            except Exception as error:  # each call gets it
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():  # its call was given up
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        self._running = None
