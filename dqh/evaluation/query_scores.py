"""Average precision query by query, as a file beside `metrics.json`: what compares two runs needs more than means.

Q queries.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.measure import PerQuery
from dqh.files import atomic_writer

IDS = "ids"
UNSEEN = "unseen/"
"""Before the names of what is of queries of unseen classes, among themselves."""

Scores = Mapping[str, NDArray[Any]]
"""By name: `ids` (Q,) of the queries, and of each row (Q,) average precision; the same of unseen classes."""


def query_scores(
    measured: Mapping[str, PerQuery], ids: NDArray[np.str_], *, prefix: str = ""
) -> dict[str, NDArray[Any]]:
    """The ids of the queries, and their average precision by each row that was measured on all of them.

    Args:
        measured: by row, average precision at the first cutoff.
        ids: (Q,) of the queries.
        prefix: before each name.

    Returns:
        By name: `ids`, then the rows, (Q,) float64, not a number where the convention leaves a query out.

    Example:
        >>> scores = PerQuery("mAP@all", np.array([1.0, 0.5]), np.array([True, False]))
        >>> {name: values.tolist() for name, values in query_scores({"binary": scores}, np.array(["a", "b"])).items()}
        {'ids': ['a', 'b'], 'binary': [1.0, nan]}
    """
    whole = {name: scores for name, scores in measured.items() if len(scores.values) == len(ids)}
    values = {name: np.where(scores.kept, scores.values, np.nan) for name, scores in whole.items()}
    return {f"{prefix}{name}": column for name, column in ({IDS: ids} | values).items()}


def write_scores(path: Path, scores: Scores) -> None:
    """Write an archive of arrays that `numpy.load` reads, atomically."""
    arrays: dict[str, Any] = {**scores}
    with atomic_writer(path) as file:
        np.savez_compressed(file, **arrays)
