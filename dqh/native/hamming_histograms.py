"""How many codes lie at each Hamming distance of a query, those that answer it apart from the others.

Q queries, N codes, B bits, C classes.
"""

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.cores import threads
from dqh.native import twins
from dqh.native.hamming_codes import blocks_of, words_of
from dqh.native.threads import in_threads

_SCRATCH = 2**24
"""Bytes of memory that a kernel gets at a time, where one query does not need more."""


def hamming_histograms(
    query: NDArray[np.uint8],
    database: NDArray[np.uint8],
    *,
    query_labels: NDArray[np.integer[Any]] | NDArray[np.bool_],
    database_labels: NDArray[np.integer[Any]] | NDArray[np.bool_],
    bits: int,
    kernels: ModuleType,
) -> NDArray[np.int64]:
    """Counts by distance for each query, (2, Q, B + 1): irrelevant codes, then relevant ones.

    An item is relevant where it has the label of the query, or of labels (N, C) one in common with it.

    Args:
        query: (Q, ⌈B / 8⌉) uint8.
        database: (N, ⌈B / 8⌉) uint8.
        query_labels: (Q,) integers, or (Q, C) bool.
        database_labels: of the same kind.
        bits: B.
        kernels: `dqh._native`, or `dqh.native.twins`.

    Example:
        >>> codes, labels = np.array([[0], [1], [3]], np.uint8), np.array([5, 6, 5])
        >>> of_first = {"query_labels": labels[:1], "database_labels": labels}
        >>> hamming_histograms(codes[:1], codes, **of_first, bits=2, kernels=twins).tolist()
        [[[0, 1, 0]], [[1, 0, 1]]]
    """
    words, blocks = words_of(query), blocks_of(database)
    labels, label_blocks = words_of(label_octets(query_labels)), blocks_of(label_octets(database_labels))
    rows, size = len(database), words.shape[1]
    histograms = np.empty((2, len(words), bits + 1), np.int64)
    need = max(4, kernels.hamming_histograms_scratch(2, size) - kernels.hamming_histograms_scratch(1, size))

    def count(share: slice) -> None:
        part = words[share]
        scratch = np.empty(kernels.hamming_histograms_scratch(len(part), size) // 4, np.uint32)
        counts = np.zeros((len(part), 2, 64 * size + 1), np.int64)
        items = (blocks, rows, size, 0, rows, label_blocks, labels.shape[1], query_labels.ndim == 2)
        twins.require_ok(kernels.hamming_histograms(*items, part, labels[share], len(part), scratch, counts))
        histograms[:, share] = counts.transpose(1, 0, 2)[:, :, : bits + 1]

    step = max(1, min(-(-len(words) // threads()), _SCRATCH // need))
    shares = [slice(start, min(start + step, len(words))) for start in range(0, len(words), step)]
    in_threads([partial(count, share) for share in shares])
    return histograms


def label_octets(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Labels as codes: numbers as their 8 bytes, a bit for each of several."""
    if labels.ndim == 2:
        return np.packbits(labels, axis=1, bitorder="little")
    return np.ascontiguousarray(labels, np.int64).view(np.uint8).reshape(-1, 8)
