"""The processes of one training: how many there are, which one this is, and what the others have to say."""

from typing import TypeVar

from torch import distributed

T = TypeVar("T")


def count() -> int:
    """How many processes train together; 1 where there is no process group."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if _together() else 0


def everyone(value: T) -> list[T]:
    """The values of all processes in their order; they are pickled, and every process must ask."""
    if count() == 1:
        return [value]
    values: list[T] = [value] * count()
    distributed.all_gather_object(values, value)
    return values


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
