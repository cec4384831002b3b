"""Answers that are waited for, asked ahead by threads and given in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_AHEAD = 2
"""Items that are asked for, or have answered, a thread."""


def in_order(
    function: Callable[[Item], Answer], items: Iterable[Item], *, threads: int, may_wait: Callable[[Item], bool]
) -> Iterator[tuple[Item, Answer]]:
    """Each item with what a function answers, in the order of the items, of which some are taken ahead.

    Args:
        function: called in a thread for items that `may_wait`, for others in this one.
        items: any number.
        threads: at most; none is started before it is needed.
        may_wait: whether the answer to an item is worth a thread.

    Example:
        >>> list(in_order(len, ["one", "three"], threads=2, may_wait=lambda text: len(text) > 3))
        [('one', 3), ('three', 5)]
    """
    waiting: deque[tuple[Item, Future[Answer] | None]] = deque()
    pool = ThreadPoolExecutor(threads)

    def first() -> tuple[Item, Answer]:
        item, answer = waiting.popleft()
        return item, function(item) if answer is None else answer.result()

    try:
        for item in items:
            waiting.append((item, pool.submit(function, item) if may_wait(item) else None))
            if len(waiting) > _AHEAD * threads:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.shutdown(cancel_futures=True)
