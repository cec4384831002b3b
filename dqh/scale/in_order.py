"""Partitions of a job whose results count together: asked at once, taken in their order, and none may be missing."""

from collections.abc import Callable, Iterator, Sequence

from dqh.errors import ConfigError, DqhError
from dqh.executors import Executor, Failure, Partition, Result, State
from dqh.plural import counted


def require_counts(*, partitions: int | None, retries: int) -> None:
    """Raise `ConfigError` where there are to be no partitions, or fewer than no attempts."""
    limits = {"partitions": (partitions, 1), "retries": (retries, 0)}
    problems = [
        f"{name} must be at least {least}, got {value}"
        for name, (value, least) in limits.items()
        if value is not None and value < least
    ]
    if problems:
        raise ConfigError(problems)


def results_in_order(
    executor: Executor,
    setup: Callable[[], State],
    task: Callable[[State, Partition], Result],
    partitions: Sequence[Partition],
    *,
    retries: int,
    done: Callable[[int], None] = lambda number: None,
) -> Iterator[Result]:
    """The results of all partitions, as of `Executor.run`, in the order of the partitions; `done` tells each number.

    Raises:
        DqhError: a partition failed.
    """
    ahead: dict[int, Result] = {}
    following = 0
    for number, result in executor.run(setup, task, partitions, retries=retries):
        if isinstance(result, Failure):
            raise DqhError(
                f"partition {number} of {len(partitions)} failed ({counted(result.attempts, 'attempt')}): "
                f"{result.reason}; mend that, and run the same command again"
            )
        ahead[number] = result
        done(number)
        while following in ahead:
            yield ahead.pop(following)
            following += 1
