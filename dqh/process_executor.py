"""Processes of this machine that compute the partitions of a job, started anew where they die."""

import multiprocessing
import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from dqh.child_process import follow, held_back, leave_group, status_words
from dqh.cores import usable_cores
from dqh.executors import Outcome, Pool, PooledExecutor, Work, sendable

_JOIN = 5.0
"""Seconds that a worker gets to end."""


class ProcessExecutor(PooledExecutor):
    """Processes of this machine, each started when it is first needed, and anew when it died; see `Executor`.

    `concurrent.futures` loses every partition that waits when one worker dies. Each process imports what it runs by
    itself (`spawn`), so a script that makes one guards its main part by `if __name__ == "__main__":`.

    Args:
        workers: processes; None for one a core.
        memory: bytes of data that each may take; None for no limit. Not on Windows.
    """

    def __init__(self, *, workers: int | None = None, memory: int | None = None) -> None:
        super().__init__(workers=workers)
        self._memory = memory

    def _new_pool(self) -> Pool:
        return _Processes(threads=max(1, usable_cores() // self.workers), memory=self._memory)


class _Processes:
    """Processes and the pipes to them."""

    def __init__(self, *, threads: int, memory: int | None) -> None:
        self._content, self._threads, self._memory = b"", threads, memory
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, tuple[BaseProcess, Connection]] = {}
        self._busy: set[int] = set()

    def begin(self, content: bytes) -> None:
        self.close()  # what a worker holds of other work would stay in its memory
        self._content = content

    def give(self, slot: int, partition: Any) -> None:
        if slot not in self._workers:
            self._workers[slot] = self._started()
        self._busy.add(slot)
        with suppress(OSError):  # it has died: `outcomes` meets the end of its pipe
            self._workers[slot][1].send(partition)

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        ready = set(wait([self._workers[slot][1] for slot in self._busy]))
        done = [slot for slot in sorted(self._busy) if self._workers[slot][1] in ready]
        self._busy.difference_update(done)
        return [(slot, self._outcome(slot)) for slot in done]

    def close(self) -> None:
        for slot in list(self._workers):
            self._end(slot)
        self._busy.clear()

    def _started(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._content, self._threads, self._memory, os.getpid()), daemon=True
        )
        with held_back():
            process.start()
        theirs.close()
        return process, ours

    def _outcome(self, slot: int) -> Outcome:
        process, pipe = self._workers[slot]
        try:
            outcome: Outcome = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            process.join(_JOIN)
            self._end(slot)
            return Outcome("lost", text=f"its process ended ({status_words(process.exitcode)})")
        return outcome

    def _end(self, slot: int) -> None:
        process, pipe = self._workers.pop(slot)
        process.kill()
        process.join(_JOIN)
        pipe.close()


def _serve(pipe: Connection, content: bytes, threads: int, memory: int | None, parent: int) -> None:
    """What a process of this machine runs, until its pipe ends."""
    leave_group()
    follow(parent)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if memory is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    work = Work(content)
    while True:
        try:
            partition = pipe.recv()
        except EOFError:
            return
        pipe.send_bytes(sendable(work.attempt(partition)))
