"""Packed codes counted by distance and relevance on a device, in one pass: what `hamming_histograms` does on the host.

Q queries, N codes, B bits, C classes.
"""

from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native.device.hamming_tensors import words_of
from dqh.native.hamming_histograms import label_octets

MOST_BITS = 2047
"""Bits of codes that are counted so: the counts of a query are held in registers."""


def histogram_tensors(
    query: NDArray[np.uint8],
    database: NDArray[np.uint8],
    *,
    query_labels: NDArray[np.integer[Any]] | NDArray[np.bool_],
    database_labels: NDArray[np.integer[Any]] | NDArray[np.bool_],
    bits: int,
    device: torch.device | str,
    kernels: ModuleType,
) -> Tensor:
    """Counts by distance for each query, (2, Q, B + 1) int64 on the device: irrelevant codes, then relevant ones.

    Arguments are those of `dqh.native.hamming_histograms`, of fewer than 2³¹ codes of up to `MOST_BITS`; `kernels` is
    `triton_kernels`. The device holds codes and labels in words of 32 bits.
    """
    place = torch.device(device)
    items, queries = words_of(database, place), words_of(query, place)
    labels, wanted = words_of(label_octets(database_labels), place), words_of(label_octets(query_labels), place)
    shared = query_labels.ndim == 2
    counts: Tensor = kernels.hamming_counts(items, queries, labels, wanted, shared=shared, bits=bits)
    return counts.transpose(0, 1)
