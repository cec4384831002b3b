"""Vectors far from all others."""

import logging

import numpy as np
import pytest

from dqh import outliers
from dqh.outliers import MOST_FAR, find_far, usual_rows

VECTORS = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)


@pytest.mark.parametrize("chunk", [2**22, 50])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_one_huge_vector_among_others(chunk: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outliers, "_CHUNK", chunk)
    vectors = VECTORS.astype(dtype)
    assert not find_far(vectors).rows.any()
    vectors[17] = 65504
    assert np.flatnonzero(find_far(vectors).rows).tolist() == [17]


def test_copies_of_one_vector_and_mixed_lengths_make_none_far() -> None:
    copies = VECTORS.copy()
    copies[:200] = 1.5
    assert not find_far(copies).rows.any()
    assert not find_far(VECTORS * np.linspace(0.2, 4, 300, dtype=np.float32)[:, None]).rows.any()
    assert not find_far(np.ones((4, 2), np.float32)).rows.any()


@pytest.mark.parametrize("scale", [1e-40, 6e-8, 1e30])
def test_the_rule_knows_no_unit(scale: float) -> None:
    vectors = (VECTORS.astype(np.float64) * scale).astype(np.float32)
    vectors[3] *= 100
    assert np.flatnonzero(find_far(vectors).rows).tolist() == [3]


def uneven_vectors() -> dict[str, np.ndarray]:
    """1,000 vectors each, of which many more than a few are far from half of the others."""
    generator = np.random.default_rng(0)
    normal = generator.normal(size=(1000, 32)).astype(np.float32)
    share = np.arange(1000)[:, None]
    lengths = np.exp(generator.uniform(np.log(1e-3), np.log(1e3), (1000, 1)))
    return {
        "near-duplicates": np.where(share < 600, normal[0] + 1e-4 * normal, normal).astype(np.float32),
        "near zero": np.where(share < 600, 1e-6 * normal, normal).astype(np.float32),
        "log-uniform": (normal * lengths).astype(np.float32),
        "a tenth of 30 times": np.where(share < 100, 30 * normal, normal).astype(np.float32),
    }


@pytest.mark.parametrize("name", uneven_vectors())
def test_a_large_share_is_no_outlier(name: str) -> None:
    vectors = uneven_vectors()[name]
    found = find_far(vectors)
    assert not found.rows.any()
    assert found.uneven >= 100
    assert found.uneven > MOST_FAR * len(vectors)
    vectors[700] = 65504 * 100
    assert np.flatnonzero(find_far(vectors).rows).tolist() == [700]


@pytest.mark.parametrize(("count", "far"), [(1, 1), (15, 15), (16, 0)])
def test_at_most_five_percent_are_far(count: int, far: int) -> None:
    vectors = VECTORS.copy()
    vectors[:count] = 65504
    found = find_far(vectors)
    assert (np.count_nonzero(found.rows), found.uneven) == (far, count - far)
    assert not found.rows[count:].any()


def test_few_vectors() -> None:
    assert find_far(np.array([[7.0]], np.float32)).rows.tolist() == [False]
    assert find_far(np.array([[0.0], [1e9]], np.float32)).rows.tolist() == [False, False]
    assert find_far(np.array([[0.0], [1.0], [2.0], [1e9]], np.float32)).rows.tolist() == [False, False, False, True]


def test_what_a_fit_sees_is_told(caplog: pytest.LogCaptureFixture) -> None:
    vectors = VECTORS.copy()
    with caplog.at_level(logging.WARNING):
        assert usual_rows(vectors, user="itq").all()
        assert caplog.messages == []
        vectors[[3, 200]] = 65504
        assert np.flatnonzero(~usual_rows(vectors, user="baselines", kind="embedding")).tolist() == [3, 200]
    assert caplog.messages == ["baselines: fitted without 2 of 300 rows whose embedding lie far from all others"]
