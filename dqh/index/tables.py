"""Look-up tables of queries and the distances that they add up to, on any device: those of `dqh.index.lookup`.

Q queries, N database items, D dimensions, M subspaces, K codewords each.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.index.aqd import CodebookQuantizer, Distance
from dqh.index.lookup import lookup_tables
from dqh.native.device.torch_kernels import table_sums


def query_tables(
    quantizer: CodebookQuantizer,
    embeddings: NDArray[np.floating[Any]],
    *,
    distance: Distance = "l2",
    symmetric: bool = False,
) -> Tensor:
    """The tables (Q, M, K) of `lookup_tables` as a tensor on the CPU, for `table_distances`; all else as there."""
    tables = torch.from_numpy(lookup_tables(quantizer, embeddings, distance=distance, symmetric=symmetric))
    return tables.permute(1, 2, 0).contiguous().permute(2, 0, 1)  # queries innermost, once for all chunks of items


def table_distances(tables: Tensor, indices: Tensor, *, norms: Tensor | None = None) -> Tensor:
    """The sums of `dqh.index.lookup.lookup_sums`, the same bit for bit, of tensors on any device, for any Q and N.

    Arguments and result as there, `indices` on the device of `tables`.
    """
    inverses = None if norms is None else torch.where(norms > 0, 1 / norms, 0)
    return table_sums(tables, indices, inverses=inverses)


def decoded_norms(quantizer: CodebookQuantizer, indices: Tensor) -> Tensor:
    """L2 norms of decoded vectors, without decoding them.

    Squared norms of codewords add up over subspaces, since a block-diagonal codebook keeps these apart and an
    orthogonal rotation changes no norm.

    Of (N, M) indices of any integer type, (N,) float32.
    """
    squared = torch.from_numpy(np.square(quantizer.codebooks).sum(axis=2, dtype=np.float32))
    return table_distances(squared[None].to(indices.device), indices)[0].sqrt()
