"""Look-up tables of queries and their sums on the CPU, by numpy alone, so that a search need not load torch.

`dqh.index.tables` adds up the same sums on any device, the same bit for bit but for the roots of norms.

Q queries, N database items, D dimensions, M subspaces, K codewords each.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import CodebookQuantizer, Distance, require_distance
from dqh.quantizers import ProductQuantizer

_AT_ONCE = 2**16
"""Table values gathered at a time: what stays in the cache of a core until it is added."""


def lookup_tables(
    quantizer: CodebookQuantizer,
    embeddings: NDArray[np.floating[Any]],
    *,
    distance: Distance = "l2",
    symmetric: bool = False,
) -> NDArray[np.float32]:
    """Look-up tables for `lookup_sums`, smaller is nearer.

    Args:
        quantizer: a fitted one.
        embeddings: (Q, D) float.
        distance: `l2`: squared L2. `ip`: negative inner product. `cosine`: negative inner product with the query
            divided by its norm; a query of zeros stays so.
        symmetric: quantize the queries too, which makes distances between codes (SQD).

    Returns:
        (Q, M, K) float32, C-contiguous.

    Raises:
        ValueError: an unknown distance, distances beyond float32, or the quantizer refuses the embeddings.
    """
    require_distance(distance)
    if symmetric:
        books, indices = quantizer.codebooks, quantizer.codewords_of(quantizer.encode(embeddings))
        # codewords as they are: a rotation back and forth would round with the batch that a query is in
        embeddings = books[np.arange(len(books)), indices].reshape(len(indices), books.shape[0] * books.shape[2])
        if quantizer.rotation is not None:
            quantizer = ProductQuantizer.from_codebooks(books)
    with np.errstate(over="ignore"):  # what does not fit into float32 is refused next
        tables = quantizer.tables(embeddings, "l2" if distance == "l2" else "ip")
    largest = float(max(tables.max(initial=0), -tables.min(initial=0)))
    if not largest <= np.finfo(np.float32).max / tables.shape[1]:
        raise ValueError(f"embeddings must give distances within float32, got {largest} in a subspace; scale them down")
    if distance == "cosine":
        norms = np.linalg.norm(embeddings.astype(np.float64), axis=1)
        tables /= np.where(norms > 0, norms, 1)[:, None, None]
    return tables if distance == "l2" else np.negative(tables, out=tables)


def lookup_sums(
    tables: NDArray[np.float32], indices: NDArray[np.integer[Any]], *, norms: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Distances from look-up tables, d(q, x) = Σ_m tables[q, m, indices[x, m]] (Jégou et al. 2011, equation 13).

    Summed in float32, from the first subspace to the last. Equal codes have equal distances, bit for bit, wherever they
    stand and with whatever others.

    Args:
        tables: (Q, M, K) float32; quickest where the queries are innermost in memory.
        indices: (N, M) codewords of the items, any integer type; quickest where the items are innermost.
        norms: (N,) float32 of the decoded items, for the cosine: 1 + sum / norm, and 1 where the norm is 0.

    Returns:
        (Q, N) float32, a view of memory in which the queries are innermost.
    """
    queries, count = len(tables), len(indices)
    sums = np.zeros((count, queries), np.float32)
    rows = np.ascontiguousarray(tables.transpose(1, 2, 0))
    step = max(1, _AT_ONCE // max(1, queries))
    for start in range(0, count, step):
        part = sums[start : start + step]
        for table, column in zip(rows, indices[start : start + step].T, strict=True):
            if queries == 1:  # rows of one value cost twice as much
                part[:, 0] += table[:, 0].take(column, mode="clip")
            else:
                part += table.take(column, axis=0, mode="clip")
    if norms is not None:
        with np.errstate(divide="ignore"):
            sums *= np.where(norms > 0, 1 / norms, np.float32(0))[:, None]
        sums += 1
    return sums.T


def item_norms(quantizer: CodebookQuantizer, indices: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """(N,) L2 norms of what codewords (N, M) stand for, from squared norms of codewords as in `decoded_norms`.

    Roots are rounded to the nearest float32; those of torch on a CPU may be the next one.
    """
    squared = np.square(quantizer.codebooks).sum(axis=2, dtype=np.float32)
    norms: NDArray[np.float32] = np.sqrt(lookup_sums(squared[None], indices)[0])
    return norms
