"""Which ids new rows get: the next ones, or those that they have in another index.

n rows.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.errors import StoreError
from dqh.index.store.schema import LARGEST_ID


def row_ids(path: Path, count: int, *, first: int, given: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """(n,) ids, ascending, all from `first` on.

    Args:
        path: folder of the index.
        count: n.
        first: the smallest that no row has had.
        given: (n,) of another index; None for the next ones.

    Raises:
        ValueError: a given id may have been given before, or they are no n ascending ones.
        StoreError: an id would be larger than an index may have.
    """
    ids = np.arange(first, first + count, dtype=np.int64) if given is None else given
    if ids.shape != (count,) or (count and (ids[0] < first or (ids[1:] <= ids[:-1]).any())):
        raise ValueError(f"ids must be {count} ascending ones from {first} on, got {ids}")
    if count and ids[-1] >= LARGEST_ID:
        raise StoreError(
            f"{path} has given the ids up to {first - 1}, and none beyond {LARGEST_ID - 1} can follow; put the images "
            "into a new index: dqh index ARTIFACT IMAGES --out NEW"
        )
    return ids
