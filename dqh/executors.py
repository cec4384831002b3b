"""Who computes the partitions of a job: what all executors have in common, and the one that is this process.

Processes of this machine are in `dqh.process_executor`, engines of several machines in `dqh.scale`.

An executor makes a worker's state once, hands it one partition at a time, and tells results as they come. A partition
that fails is a value, not an error: the job decides what it is worth.
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar

from dqh.cores import usable_cores
from dqh.errors import ConfigError, DqhError, first_line

State = TypeVar("State")
Partition = TypeVar("Partition")
Result = TypeVar("Result")

RETRIES = 2
"""Attempts of a partition beyond the first."""


class Failure(NamedTuple):
    """Why a partition has no result.

    Attributes:
        kind: `error`, which the task or the setup raised, or `lost`: the worker died.
        reason: a line.
        attempts: that were made.
    """

    kind: Literal["error", "lost"]
    reason: str
    attempts: int


class Executor(Protocol):
    """Runs a task over partitions.

    Attributes:
        workers: partitions that are computed at a time.
    """

    workers: int

    def run(
        self,
        setup: Callable[[], State],
        task: Callable[[State, Partition], Result],
        partitions: Sequence[Partition],
        *,
        retries: int = RETRIES,
    ) -> Iterator[tuple[int, Result | Failure]]:
        """The number and the result of each partition, once, as they complete.

        All that goes to a worker and comes back is pickled, and functions are found by their names. A partition whose
        worker dies costs that partition alone, and is tried again by another worker, as is one whose task raises, but
        for a `DqhError`, which says what no repetition mends. Workers and their state stay for the next call with the
        same setup and task, until `close`.

        Args:
            setup: makes the state of a worker, once.
            task: idempotent; gives a small value, and writes nothing but files named after job and partition.
            partitions: of the job.
            retries: attempts of a partition beyond the first.
        """
        ...

    def close(self) -> None:
        """End all workers, whatever they do."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Outcome(NamedTuple):
    """What became of an attempt: `value`, or the reason in `text`, and whether another attempt may end otherwise."""

    kind: Literal["result", "error", "lost"]
    value: Any = None
    text: str = ""
    again: bool = True


class Pool(Protocol):
    """Workers by their slots, from 0 on, each with one partition at a time."""

    def begin(self, content: bytes) -> None:
        """What is given from now on is for this work, see `packed`; all workers are idle."""
        ...

    def give(self, slot: int, partition: Any) -> None:
        """Let a worker compute a partition; one that is not there, or was lost, is started."""
        ...

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        """Slots that are done, at least one, and what became of their partitions."""
        ...

    def close(self) -> None:
        """End all workers; those of what is given later are started anew."""
        ...


def dispatched(
    pool: Pool, partitions: Sequence[Any], *, workers: int, retries: int
) -> Iterator[tuple[int, Any | Failure]]:
    """What `Executor.run` gives, by the workers of a pool; a partition that failed goes behind all others."""
    waiting, idle = deque(range(len(partitions))), deque(range(workers))
    attempts, busy = [0] * len(partitions), dict[int, int]()
    try:
        while waiting or busy:
            while waiting and idle:
                slot, number = idle.popleft(), waiting.popleft()
                attempts[number] += 1
                pool.give(slot, partitions[number])
                busy[slot] = number
            for slot, outcome in pool.outcomes():
                number = busy.pop(slot)
                idle.appendleft(slot)  # one that is warm
                if outcome.kind == "result":
                    yield number, outcome.value
                elif outcome.again and attempts[number] <= retries:
                    waiting.append(number)
                else:
                    yield number, Failure(outcome.kind, outcome.text, attempts[number])
    finally:
        if busy:  # nobody asks for the rest
            pool.close()


def packed(setup: Callable[[], Any], task: Callable[[Any, Any], Any]) -> bytes:
    """A setup and a task as they go to a worker.

    Raises:
        ConfigError: one of them is no function of a module, nor an object of a class of one.
    """
    try:
        return pickle.dumps((setup, task))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"setup and task must be functions of a module, which a worker finds by name, got what cannot be sent: "
            f"{first_line(error)}"
        ) from error


class Work:
    """A setup and a task in a worker; the state is made when it is first needed.

    Args:
        content: from `packed`.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._parts: tuple[Any, Callable[[Any, Any], Any]] | None = None

    def attempt(self, partition: Any) -> Outcome:
        """What becomes of a partition; every exception is an outcome."""
        try:
            if self._parts is None:
                setup, task = pickle.loads(self._content)
                self._parts = setup(), task
            state, task = self._parts
            return Outcome("result", task(state, partition))
        except Exception as error:
            text = first_line(error)
            again = not isinstance(error, DqhError)
            return Outcome("error", text=f"{type(error).__name__}: {text}" if again else text, again=again)


def sendable(outcome: Outcome) -> bytes:
    """An outcome pickled; that of a result that cannot be pickled is an error."""
    try:
        return pickle.dumps(outcome)
    except Exception as error:  # whatever the methods of a result raise
        return pickle.dumps(Outcome("error", text=f"its result cannot be sent: {first_line(error)}", again=False))


@lru_cache(maxsize=1)
def _work(content: bytes) -> Work:
    """The one of a worker that an engine keeps from partition to partition."""
    return Work(content)


def attempted(content: bytes, partition: bytes) -> bytes:
    """What a worker of an engine makes of a pickled partition: an `Outcome`, pickled."""
    return sendable(_work(content).attempt(pickle.loads(partition)))


class PooledExecutor:
    """An executor whose workers are those of a pool that a child makes; see `Executor`.

    Args:
        workers: at a time; None for one a core of this machine.

    Raises:
        ConfigError: `workers` is below 1.
    """

    def __init__(self, *, workers: int | None = None) -> None:
        self.workers = usable_cores() if workers is None else workers
        if self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {workers}")
        self._pool: Pool | None = None
        self._of: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        setup: Callable[[], State],
        task: Callable[[State, Partition], Result],
        partitions: Sequence[Partition],
        *,
        retries: int = RETRIES,
    ) -> Iterator[tuple[int, Result | Failure]]:
        """See `Executor.run`."""
        content = packed(setup, task)
        if self._pool is None:
            self._pool = self._new_pool()
        if self._of != content:
            self._pool.begin(content)
            self._of = content
        width = min(self.workers, max(1, len(partitions)))
        yield from dispatched(self._pool, partitions, workers=width, retries=retries)

    def close(self) -> None:
        """See `Executor.close`."""
        if self._pool is not None:
            self._pool.close()
        self._pool = self._of = None

    def _new_pool(self) -> Pool:
        """Workers, none of which is started."""
        raise NotImplementedError


class SerialExecutor(PooledExecutor):
    """One partition after another in this process, where a worker that dies takes the job with it; see `Executor`."""

    def __init__(self) -> None:
        super().__init__(workers=1)

    def _new_pool(self) -> Pool:
        return _Here()


class _Here:
    """The one worker that this process is."""

    def begin(self, content: bytes) -> None:
        self._work = Work(content)

    def give(self, slot: int, partition: Any) -> None:
        self._partition = partition

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        return [(0, self._work.attempt(self._partition))]

    def close(self) -> None:
        """Nothing is held."""
