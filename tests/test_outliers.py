"""Vectors far from all others."""

import numpy as np
import pytest

from dqh import outliers
from dqh.outliers import far_rows

VECTORS = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)


@pytest.mark.parametrize("chunk", [2**22, 50])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_one_huge_vector_among_others(chunk: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outliers, "_CHUNK", chunk)
    vectors = VECTORS.astype(dtype)
    assert not far_rows(vectors).any()
    vectors[17] = 65504
    assert np.flatnonzero(far_rows(vectors)).tolist() == [17]


def test_copies_of_one_vector_and_mixed_lengths_make_none_far() -> None:
    copies = VECTORS.copy()
    copies[:200] = 1.5
    assert not far_rows(copies).any()
    assert not far_rows(VECTORS * np.linspace(0.2, 4, 300, dtype=np.float32)[:, None]).any()
    assert not far_rows(np.ones((4, 2), np.float32)).any()


@pytest.mark.parametrize("scale", [1e-40, 6e-8, 1e30])
def test_the_rule_knows_no_unit(scale: float) -> None:
    vectors = (VECTORS.astype(np.float64) * scale).astype(np.float32)
    vectors[3] *= 100
    assert np.flatnonzero(far_rows(vectors)).tolist() == [3]
