"""Whole numbers that say how much is wanted: answers, words, objects."""

import operator
from typing import SupportsIndex

MOST = 2**20
"""Of anything that is asked for, unless there is more of it: room is made for all of it, whatever is found."""


def require_counts(largest: int = MOST, /, **counts: SupportsIndex) -> None:
    """Check numbers by their names.

    Args:
        largest: that makes sense.
        counts: names and numbers.

    Raises:
        TypeError: one is no whole number.
        ValueError: one is below 1 or above `largest`.

    Example:
        >>> require_counts(k=10, words=0)
        Traceback (most recent call last):
        ValueError: words must be a whole number from 1 to 1,048,576, got 0
    """
    for name, value in counts.items():
        wanted = f"{name} must be a whole number from 1 to {largest:,}"
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(f"{wanted}, got {value!r}") from None
        if isinstance(value, bool):
            raise TypeError(f"{wanted}, got {value}")
        if not 1 <= number <= largest:
            raise ValueError(f"{wanted}, got {number:,}")
