"""Codes and look-up tables of queries by numpy alone, where nothing else needs torch, which takes seconds to load.

What `codebooks` computes: the same formula in float64, where only the order of the sums over the dimensions of a part
is another, so that tables are the same to the last digit but for one of millions of entries, and codes but where two
codewords are equally near to the last digit of float64.

Q embeddings of D dimensions, M subspaces of d dimensions, K codewords each.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dqh.native import table_twins
from dqh.native.query_tables import book_columns, query_tables
from dqh.native.table_twins import ROUNDING


def plain_tables(
    codebooks: NDArray[np.float32],
    rotation: NDArray[np.float32] | None,
    embedding: NDArray[np.floating[Any]],
    *,
    distance: Literal["l2", "ip"],
) -> NDArray[np.float32]:
    """Squared L2 distances or inner products of the parts of embeddings and the codewords.

    The tables of a query do not depend on the queries beside it.

    Args:
        codebooks: (M, K, d).
        rotation: (D, D), what embeddings are multiplied by first, or None.
        embedding: (Q, D) float, finite.
        distance: which of them.

    Returns:
        (Q, M, K) float32.
    """
    return query_tables(book_columns(codebooks, rotation), embedding, distance=distance, kernels=table_twins)


def plain_codewords(
    codebooks: NDArray[np.float32], rotation: NDArray[np.float32] | None, embedding: NDArray[np.floating[Any]]
) -> NDArray[np.int64]:
    """(Q, M) the nearest codewords of the parts of embeddings (Q, D), of equally near ones the first."""
    books = codebooks.astype(np.float64)
    nearest: NDArray[np.int64] = _squared_distances(books, _parts(books, rotation, embedding)).argmin(2)
    return nearest


def _parts(
    books: NDArray[np.float64], rotation: NDArray[np.float32] | None, embedding: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """(Q, M, 1, d)."""
    whole = embedding.astype(np.float64)
    turned = whole if rotation is None else np.vecdot(whole[:, None], rotation.T.astype(np.float64))
    return np.reshape(turned, (len(whole), len(books), 1, books.shape[2]))


def _squared_distances(books: NDArray[np.float64], parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Q, M, K)."""
    norms, lengths = np.square(books).sum(2), np.square(parts).sum(3)
    distances: NDArray[np.float64] = norms - 2 * np.vecdot(parts, books) + lengths  # |x - c|^2
    distances[distances <= ROUNDING * (norms + lengths)] = 0
    return distances
