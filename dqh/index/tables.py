"""Look-up tables of queries and the distances that they add up to, on any device: what `AQDIndex` and evaluation share.

Q queries, N database items, D dimensions, M subspaces, K codewords each.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from dqh.index.aqd import CodebookQuantizer, Distance, require_distance
from dqh.quantizers import ProductQuantizer

_GATHERED = 2**12
"""Items up to which one call for all subspaces is quicker than one a subspace."""


def query_tables(
    quantizer: CodebookQuantizer,
    embeddings: NDArray[np.floating[Any]],
    *,
    distance: Distance = "l2",
    symmetric: bool = False,
) -> Tensor:
    """Look-up tables for `table_distances`, smaller is nearer.

    Args:
        quantizer: a fitted one.
        embeddings: (Q, D) float.
        distance: `l2`: squared L2. `ip`: negative inner product. `cosine`: negative inner product with the query
            divided by its norm; a query of zeros stays so.
        symmetric: quantize the queries too, which makes distances between codes (SQD).

    Returns:
        (Q, M, K) float32 on the CPU, a view of memory in which the queries are innermost.

    Raises:
        ValueError: an unknown distance, distances beyond float32, or the quantizer refuses the embeddings.
    """
    require_distance(distance)
    if symmetric:
        books, indices = quantizer.codebooks, quantizer.codewords_of(quantizer.encode(embeddings))
        # codewords as they are: a rotation back and forth would round with the batch that a query is in
        embeddings = books[np.arange(len(books)), indices].reshape(len(indices), -1)
        if quantizer.rotation is not None:
            quantizer = ProductQuantizer.from_codebooks(books)
    with np.errstate(over="ignore"):  # what does not fit into float32 is refused next
        tables = quantizer.tables(embeddings, "l2" if distance == "l2" else "ip")
    largest = float(np.abs(tables).max(initial=0))
    if not largest <= np.finfo(np.float32).max / tables.shape[1]:
        raise ValueError(f"embeddings must give distances within float32, got {largest} in a subspace; scale them down")
    inner = np.ascontiguousarray(tables.transpose(1, 2, 0))
    if distance == "cosine":
        norms = np.linalg.norm(embeddings.astype(np.float64), axis=1)
        inner /= np.where(norms > 0, norms, 1)
    return torch.from_numpy(inner if distance == "l2" else -inner).permute(2, 0, 1)


def table_distances(tables: Tensor, indices: Tensor, *, norms: Tensor | None = None) -> Tensor:
    """Distances from look-up tables, d(q, x) = Σ_m tables[q, m, indices[x, m]] (Jégou et al. 2011, equation 13).

    The one place where table values are summed: in float32, from the first subspace to the last, on every device and
    for any Q and N. Equal codes have equal distances, bit for bit, wherever they stand and with whatever others.

    Args:
        tables: (Q, M, K) float32; quickest where the queries are innermost in memory, as from `query_tables`.
        indices: (N, M) codewords of the items, any integer type, on the device of `tables`.
        norms: (N,) float32 of the decoded items, for the cosine: 1 + sum / norm, and 1 where the norm is 0.

    Returns:
        (Q, N) float32, a view of memory in which the queries are innermost.
    """
    queries, subspaces, codewords = tables.shape
    if queries == 1:  # a bag of one-value rows costs three times as much
        distances = tables.new_zeros(len(indices))
        if len(indices) <= _GATHERED:
            for column in tables[0].gather(1, indices.T.long()):
                distances += column
        else:
            for table, column in zip(tables[0], indices.T, strict=True):
                distances += table.index_select(0, column.int())
        distances = distances[:, None]
    else:
        first = codewords * torch.arange(subspaces, dtype=torch.int32, device=indices.device)
        bags = indices.to(torch.int32, memory_format=torch.contiguous_format) + first
        rows = tables.permute(1, 2, 0).reshape(subspaces * codewords, queries)
        distances = embedding_bag(bags, rows, mode="sum")
    if norms is not None:
        distances.mul_(torch.where(norms > 0, 1 / norms, 0)[:, None]).add_(1)
    return distances.T


def decoded_norms(quantizer: CodebookQuantizer, indices: Tensor) -> Tensor:
    """L2 norms of decoded vectors, without decoding them.

    Squared norms of codewords add up over subspaces, since a block-diagonal codebook keeps these apart and an
    orthogonal rotation changes no norm.

    Args:
        quantizer: a fitted one.
        indices: (N, M) codewords of the items, any integer type.

    Returns:
        (N,) float32.
    """
    squared = torch.from_numpy(np.square(quantizer.codebooks).sum(axis=2, dtype=np.float32))
    return table_distances(squared[None].to(indices.device), indices)[0].sqrt()
