"""Calls of kernels on several threads: kernels give up the interpreter's lock, so threads of Python are enough."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from dqh.cores import threads

Result = TypeVar("Result")


def in_threads(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Results of calls, in their order.

    As many run at a time as `dqh.cores.threads` says, the first in the calling thread. An error of one is raised once
    all have ended.
    """
    if not calls:
        return []
    futures = [_pool(threads()).submit(call) for call in calls[1:]]
    try:
        results = [calls[0]()]
    finally:
        for future in futures:
            future.exception()  # waits, so that no call writes into memory that nobody holds any more
    return [*results, *(future.result() for future in futures)]


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Kept, as starting threads takes as long as scanning 100,000 codes."""
    return ThreadPoolExecutor(workers, thread_name_prefix="dqh-native")


if hasattr(os, "register_at_fork"):  # threads do not live on in a child
    os.register_at_fork(after_in_child=_pool.cache_clear)
