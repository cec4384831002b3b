"""Look-up tables of queries and codebooks: in C, or as the twin in numpy computes them, the same bit for bit.

Q queries of D dimensions, M subspaces of d = D / M dimensions, K codewords each.
"""

from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.native.twins import require_ok


class BookColumns(NamedTuple):
    """Codebooks as a kernel reads them.

    Attributes:
        columns: (M, d, K) float32, values of all codewords by dimension.
        norms: (M, K) float64, squared norms of the codewords.
        rotation: (D, D) float32, what queries are multiplied by first, or None.
    """

    columns: NDArray[np.float32]
    norms: NDArray[np.float64]
    rotation: NDArray[np.float32] | None


def book_columns(codebooks: NDArray[np.float32], rotation: NDArray[np.float32] | None) -> BookColumns:
    """Of codebooks (M, K, d) and a rotation."""
    columns = np.ascontiguousarray(codebooks.transpose(0, 2, 1), np.float32)
    norms = np.zeros(codebooks.shape[:2])
    for i in range(codebooks.shape[2]):
        norms += np.square(columns[:, i], dtype=np.float64)
    return BookColumns(columns, norms, None if rotation is None else np.ascontiguousarray(rotation, np.float32))


def query_tables(
    books: BookColumns, embedding: NDArray[np.floating[Any]], *, distance: Literal["l2", "ip"], kernels: ModuleType
) -> NDArray[np.float32]:
    """Squared L2 distances, or inner products, of the parts of queries and the codewords.

    In float64, rounded to float32. The tables of a query do not depend on the queries beside it.

    Args:
        books: of the codewords.
        embedding: (Q, D) float, finite.
        distance: which of them.
        kernels: `dqh._native`, or `dqh.native.table_twins`.

    Returns:
        (Q, M, K) float32; infinite where that does not hold them.

    Example:
        >>> from dqh.native import table_twins
        >>> books = book_columns(np.array([[[0], [3]], [[0], [4]]], np.float32), None)
        >>> query_tables(books, np.array([[3.0, 1.0]]), distance="l2", kernels=table_twins).tolist()
        [[[9.0, 0.0], [1.0, 9.0]]]
    """
    subspaces, width, codewords = books.columns.shape
    queries = np.require(embedding, np.float64, ["C", "A"])
    tables = np.empty((len(queries), subspaces, codewords), np.float32)
    arguments = (queries, len(queries), books.rotation, books.columns, books.norms, subspaces, codewords, width)
    scratch = np.empty(subspaces * width)
    require_ok(kernels.query_tables(*arguments, distance == "l2", scratch, tables))
    return tables
