"""The value that chooses the epoch: validation images query each other by their codes.

N images, B bits, M subspaces, K codewords each.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.evaluation.buckets import Buckets, group, hamming_buckets
from dqh.evaluation.metrics import average_precision
from dqh.evaluation.ranked import float_keys
from dqh.evaluation.relevance import label_tensor, relevance
from dqh.index.aqd import query_tables, table_distances
from dqh.quantizers import ProductQuantizer, Quantizer

_PAIRS = 2**22
"""(query, item) pairs whose distances are held at a time."""


def leave_one_out_map(
    quantizer: Quantizer, embedding: NDArray[np.float32], labels: Tensor, *, device: torch.device
) -> float:
    """MAP of images that query each other, ties by expectation; none is in its own answer.

    Args:
        quantizer: makes the codes. Binary codes are compared by Hamming distance, those of a product quantizer by the
            asymmetric distance of it.
        embedding: (N, D) float32, at least two rows.
        labels: (N,) int64 or (N, C) bool.
        device: where to compute.

    Returns:
        The mean over all images; one without a relevant other counts 0. NaN for a single image.
    """
    if len(embedding) < 2:
        return float("nan")
    codes = quantizer.encode(embedding)
    if isinstance(quantizer, ProductQuantizer):
        return _asymmetric(quantizer, embedding, codes, labels, device=device)
    values = labels.numpy()
    every = hamming_buckets(
        codes, codes, query_labels=values, database_labels=values, bits=quantizer.bits, device=device
    )
    counts, relevant = every.counts.clone(), every.relevant.clone()
    counts[:, 0] -= 1
    relevant[:, 0] -= (labels.any(1) if labels.ndim == 2 else torch.ones_like(labels)).long().to(relevant.device)
    return float(average_precision(Buckets(counts, relevant)).mean())


def _asymmetric(
    quantizer: ProductQuantizer,
    embedding: NDArray[np.float32],
    codes: NDArray[np.uint8],
    labels: Tensor,
    *,
    device: torch.device,
) -> float:
    count, step = len(embedding), max(1, _PAIRS // len(embedding))
    indices = torch.from_numpy(quantizer.codewords_of(codes)).to(device)
    kinds = label_tensor(labels.numpy(), device)
    found = []
    for start in range(0, count, step):
        rows = slice(start, start + step)
        tables = query_tables(quantizer, embedding[rows], distance=quantizer.distance).to(device)
        keys = float_keys(table_distances(tables, indices).contiguous(), signed=quantizer.distance == "ip")
        others = torch.ones_like(keys, dtype=torch.bool)
        others[torch.arange(len(keys)), torch.arange(start, start + len(keys))] = False
        relevant = relevance(kinds[rows], kinds)
        shape = (len(keys), count - 1)
        found.append(average_precision(group(keys[others].view(shape), relevant[others].view(shape))))
    return float(torch.cat(found).mean())
