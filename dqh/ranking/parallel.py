"""Chunks of work on several cores: one thread a chunk, instead of many threads for each small operation.

Chunks never wait for each other, so a busy machine costs no more than its share: on two cores next to other work
PyTorch's own threads, which meet after every operation, took 8 to 10 × as long. And no result depends on their number.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

_MOST_WORKERS = 4
"""Each holds a chunk; more of them would break the bound on memory, where chunks are large."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, device: torch.device | str, most: int = _MOST_WORKERS
) -> Iterator[Result]:
    """Results of `work` for each item, in the order of the items.

    On a CPU as many items are in work at a time as PyTorch may use threads, at most `most`. Until the last result is
    taken, PyTorch runs each operation of this process on one thread; then its setting is as it was. Elsewhere items
    are worked on one after another. Autocast is off within `work`.

    `work` must not touch shared state.
    """
    kind = torch.device(device).type

    def exactly(item: Item) -> Result:
        with torch.autocast(kind, enabled=False):
            return work(item)

    if kind != "cpu":
        yield from map(exactly, items)
        return
    threads = torch.get_num_threads()
    workers = min(threads, most)
    waiting: deque[Future[Result]] = deque()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                for item in items:
                    waiting.append(pool.submit(exactly, item))
                    if len(waiting) > workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
    finally:
        torch.set_num_threads(threads)
