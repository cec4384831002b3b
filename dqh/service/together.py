"""Requests that come at the same time, run as one batch: many at once are cheaper than one after another.

For threads, each of which has a part of its question answered so, between waiting for files and processes. A question
that waits for nothing needs no thread of its own, which would cost more than its answer: it goes from the event loop
into a batch, see `dqh.service.batches`. Neither is made of the other: calls of a loop would have to wait in threads
here, and threads for the turns of a loop there.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Entry(Generic[T, R]):
    def __init__(self, item: T) -> None:
        self.item = item
        self.answer: R
        self.error: Exception | None = None
        self.is_done = False


class Together(Generic[T, R]):
    """Runs a function of many for threads that each have one.

    The first thread runs for itself; those that come meanwhile wait, and the next of them runs for all that wait. So
    nobody waits for others to come, and batches are as large as the load makes them. Where a batch fails each of it is
    run alone, so that one does not spoil the others.

    Args:
        run: gives an answer for each item, in their order. One batch at a time.
        most: items of a batch.
        seen: is told how many each batch has.
    """

    def __init__(
        self, run: Callable[[list[T]], list[R]], *, most: int, seen: Callable[[int], object] = lambda count: None
    ) -> None:
        self._run, self._most, self._seen = run, most, seen
        self._waiting: deque[_Entry[T, R]] = deque()
        self._turn = threading.Lock()

    def __call__(self, item: T) -> R:
        """The answer for an item; errors are those of `run`."""
        entry: _Entry[T, R] = _Entry(item)
        self._waiting.append(entry)
        with self._turn:
            while not entry.is_done:
                self._answer([self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))])
        if entry.error is not None:
            raise entry.error
        return entry.answer

    def _answer(self, batch: list[_Entry[T, R]]) -> None:
        self._seen(len(batch))
        try:
            answers = self._run([entry.item for entry in batch])
        except Exception as error:  # each thread gets its own, see below
            if len(batch) == 1:
                batch[0].error, batch[0].is_done = error, True
                return
            for entry in batch:
                self._answer([entry])
            return
        for entry, answer in zip(batch, answers, strict=True):
            entry.answer, entry.is_done = answer, True
