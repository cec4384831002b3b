"""Which database items answer a query: those that share at least one label with it.

Q queries, N database items, C classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.ranking.side import Labels

_CHUNK = 2**12
"""Items of each side whose relevance is held at a time."""


def require_labels(query: Labels, database: Labels) -> None:
    """Check that two sets of labels can be compared.

    Raises:
        TypeError: a dtype that is neither integer nor bool.
        ValueError: another shape, single labels against multiple ones, or different numbers of classes.
    """
    for name, labels in (("query", query), ("database", database)):
        if labels.ndim == 1 and labels.dtype.kind in "iu":
            continue
        if labels.ndim == 2 and labels.dtype == np.bool_:
            continue
        error = ValueError if labels.dtype.kind in "iub" else TypeError
        raise error(f"{name} labels must be (N,) integers or (N, C) bool, got {labels.dtype} of shape {labels.shape}")
    if query.ndim != database.ndim:
        raise ValueError(
            "query and database labels must be of one kind, got "
            f"{query.dtype} of shape {query.shape} and {database.dtype} of shape {database.shape}; "
            "turn single labels into one-hot bool rows"
        )
    if query.shape[1:] != database.shape[1:]:
        raise ValueError(
            f"query and database labels must have as many classes, got {query.shape[1]} and {database.shape[1]}"
        )


def any_relevant(query: Labels, database: Labels) -> bool:
    """Whether any database item answers any query.

    Example:
        >>> any_relevant(np.array([0, 1]), np.array([1, 2])), any_relevant(np.array([0, 1]), np.array([2]))
        (True, False)
    """
    if query.ndim == 1:
        return bool(np.isin(query, database).any())
    return bool((query.any(axis=0) & database.any(axis=0)).any())


def relevant_counts(query: Labels, database: Labels) -> NDArray[np.int64]:
    """(Q,) int64: how many database items are relevant for each query.

    Example:
        >>> relevant_counts(np.array([0, 1, 2]), np.array([1, 2, 2]))
        array([0, 1, 2])
    """
    if query.ndim == 1:
        kinds, sizes = np.unique(database, return_counts=True)
        place = np.searchsorted(kinds, query).clip(max=len(kinds) - 1)
        return np.where(kinds[place] == query, sizes[place], 0)
    labels, items = label_tensor(query, "cpu"), label_tensor(database, "cpu")
    counts = torch.zeros(len(labels), dtype=torch.int64)
    for first in range(0, len(labels), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        for start in range(0, len(items), _CHUNK):
            counts[chunk] += relevance(labels[chunk], items[start : start + _CHUNK]).sum(1)
    totals: NDArray[np.int64] = counts.numpy()
    return totals


def label_tensor(labels: Labels, device: torch.device | str) -> Tensor:
    """Labels (N,) int64 or (N, C) bool on a device as `relevance` reads them: (N,) int64, or (N, C) float32."""
    if labels.ndim == 1:
        return torch.as_tensor(np.ascontiguousarray(labels, dtype=np.int64), device=device)
    return torch.as_tensor(np.ascontiguousarray(labels), device=device).float()


def relevance(query: Tensor, database: Tensor) -> Tensor:
    """True where two items share at least one label.

    The caller passes a chunk of each side: the result is dense.

    Of labels of Q and of N items out of `label_tensor`, (Q, N) bool. An item without any label is relevant to nothing.
    """
    if query.ndim == 1:
        return query[:, None] == database[None, :]
    # Counts of shared labels: sums of zeros and ones are exact at every precision that a matrix product may take.
    return query @ database.T > 0.5
