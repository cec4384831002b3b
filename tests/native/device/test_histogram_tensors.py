from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dqh.native import twins
from dqh.native.device.histogram_tensors import histogram_tensors
from dqh.native.device.torch_kernels import differing_bits
from dqh.native.hamming_histograms import hamming_histograms


def counted(words: Tensor, queries: Tensor, labels: Tensor, wanted: Tensor, *, shared: bool, bits: int) -> Tensor:
    """What `triton_kernels.hamming_counts` says it returns, one query and item at a time."""
    result = torch.zeros(queries.shape[1], 2, bits + 1, dtype=torch.int64)
    for q, (query, label) in enumerate(zip(queries.T, wanted.T, strict=True)):
        for word, other in zip(words.T, labels.T, strict=True):
            relevant = bool((label & other).any()) if shared else bool((label == other).all())
            result[q, int(relevant), int(differing_bits(word, query))] += 1
    return result


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("bits", [12, 70])
def test_codes_and_labels_reach_the_kernel(several: bool, bits: int) -> None:
    """As the twins in numpy count them; labels of 64 bits, and of 40 classes."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 16, (60, -(-bits // 8)), dtype=np.uint8)
    labels: Any = generator.random((60, 40)) < 0.05 if several else generator.integers(0, 3, 60) * 2**40
    sides = {"query_labels": labels[:5], "database_labels": labels, "bits": bits}
    kernels: Any = SimpleNamespace(hamming_counts=counted)
    counts = histogram_tensors(codes[:5], codes, **sides, device="cpu", kernels=kernels)
    assert counts.tolist() == hamming_histograms(codes[:5], codes, **sides, kernels=twins).tolist()
