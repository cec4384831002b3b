"""Chunks of work on several cores: one thread a chunk, instead of many threads for each small operation.

Chunks never wait for each other, so a busy machine costs no more than its share: on two cores next to other work
PyTorch's own threads, which meet after every operation, took 8 to 10 × as long. And no result depends on their number.
"""

import threading
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
    taken, PyTorch runs each operation of this process on one thread; then its setting is as it was. Elsewhere, and
    within `work`, items are worked on one after another. Autocast is off within `work`.

    `work` must not touch shared state.
    """
    kind = torch.device(device).type

    def exactly(item: Item) -> Result:
        with torch.autocast(kind, enabled=False):
            return work(item)

    if kind != "cpu" or getattr(_OF_THREAD, "works", False):
        yield from map(exactly, items)
        return
    waiting: deque[Future[Result]] = deque()
    with _ONE_THREAD as threads:
        workers = min(threads, most)
        with ThreadPoolExecutor(workers, initializer=_become_worker) as pool:
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


_OF_THREAD = threading.local()


def _become_worker() -> None:
    torch.set_num_threads(1)
    _OF_THREAD.works = True


class _OneThread:
    """While some are within, PyTorch runs each operation on one thread; it tells how many it used before.

    The setting is of the process and of each thread: one who comes while others are within would take their 1 for it,
    so who comes first keeps it for all.
    """

    def __init__(self) -> None:
        self._lock, self._within, self._before = threading.Lock(), 0, 1

    def __enter__(self) -> int:
        with self._lock:
            if not self._within:
                self._before = torch.get_num_threads()
            self._within += 1
            torch.set_num_threads(1)
            return self._before

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._within -= 1
            torch.set_num_threads(self._before)


_ONE_THREAD = _OneThread()
