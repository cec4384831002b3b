import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.index.fast_scan import FastScan
from dqh.index.lookup import lookup_sums


def items(subspaces: int, count: int, *, seed: int = 0, codewords: int = 16) -> np.ndarray:
    """(M, N) codewords."""
    return np.random.default_rng(seed).integers(0, codewords, (subspaces, count)).astype(np.uint8)


def scan(indices: np.ndarray) -> FastScan:
    return FastScan(indices)


def test_by_hand() -> None:
    """Item n has codewords n mod 16 and n div 16 mod 16, at distances 3 and 16 a step: those of 3 i + 16 j are least
    for n = 0, 1, 2, …: 0, 3, 6, 9, 12, 15, 16 (n = 16), 18 (n = 6), and again from n = 256 on."""
    n = np.arange(1024)
    indices = np.stack([n % 16, n // 16 % 16]).astype(np.uint8)
    tables = np.stack([np.arange(16) * 3.0, np.arange(16) * 16.0])[None].astype(np.float32)
    found = scan(indices).nearest(tables, 10)
    assert found is not None
    assert found[0].tolist() == [0, 256, 512, 768, 1, 257, 513, 769, 2, 258]
    assert found[1].tolist() == [0, 0, 0, 0, 3, 3, 3, 3, 6, 6]


@settings(max_examples=60, deadline=None)
@given(
    subspaces=st.integers(1, 21),
    k=st.integers(1, 90),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["normal", "ties", "outliers", "one subspace", "negative", "far from zero", "tiny"]),
)
def test_the_answer_is_that_of_a_scan(subspaces: int, k: int, seed: int, kind: str) -> None:
    """Whatever the tables are: the same ids and, bit for bit, the same sums, or no answer."""
    rng = np.random.default_rng(seed)
    tables = rng.standard_normal((1, subspaces, 16)).astype(np.float32) ** 2
    if kind == "ties":
        tables = np.round(tables)
    elif kind == "outliers":
        tables[rng.random(tables.shape) < 0.1] *= 1e4
    elif kind == "one subspace":
        tables[:, 1:] *= 1e-6
    elif kind == "negative":
        tables -= 3
    elif kind == "far from zero":
        tables += 1e5
    elif kind == "tiny":
        tables *= 1e-30
    indices = items(subspaces, 3000, seed=seed, codewords=int(rng.integers(1, 17)))
    found = scan(indices).nearest(tables, k)
    exact = lookup_sums(tables, indices.T)[0]
    order = np.argsort(exact, kind="stable")[:k]
    if found is not None:
        assert found[0].tolist() == order.tolist()
        assert found[1].tobytes() == exact[order].tobytes()


def test_it_answers_where_it_is_meant_to() -> None:
    """Distances to Gaussian codewords, as of a product quantizer."""
    rng = np.random.default_rng(1)
    indices = items(16, 20_000)
    books, queries = rng.standard_normal((16, 16, 4)), rng.standard_normal((20, 16, 1, 4))
    tables = np.square(books - queries).sum(axis=3, dtype=np.float32)
    engine = scan(indices)
    assert all(engine.nearest(table, 100) is not None for table in np.split(tables, 20))


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
@pytest.mark.parametrize("shift", [0.0, -1000.0])
def test_no_sum_is_off_by_more_than_is_said(scale: float, shift: float) -> None:
    """All 512 items in one answer of faiss, compared with the sums of the clamped table in float64."""
    rng = np.random.default_rng(2)
    indices = items(33, 512)
    for _ in range(20):
        table = ((rng.standard_normal((33, 16)) ** 4 + shift) * scale).astype(np.float32)
        engine = scan(indices)
        coarse, error = engine._query(table)
        assert error is not None
        clamped = -coarse.reshape(33, 16)
        assert (clamped <= table).all()
        sums = clamped.astype(np.float64)[np.arange(33)[:, None], indices].sum(axis=0)
        similarities, ids = engine._scan.search(coarse, 512)
        assert sorted(ids[0].tolist()) == list(range(512))
        off = np.abs(-similarities[0].astype(np.float64) - sums[ids[0]])
        assert off.max() <= error
        # and the bound is one: a quarter of it is reached by chance
        assert off.max() > error / 8 or shift


def test_where_it_gives_up() -> None:
    """Few items, and sums that are all equal."""
    tables = np.random.default_rng(0).random((1, 4, 16), np.float32)
    assert scan(items(4, 8 * (2 * 3 + 64) - 1)).nearest(tables, 3) is None
    assert scan(items(4, 8 * (2 * 3 + 64))).nearest(np.ones((1, 4, 16), np.float32), 3) is None
    with pytest.raises(ValueError, match="subspaces must be at most 256, got 257; scan in float32"):
        scan(items(257, 10))


def test_256_subspaces_of_the_largest_bytes() -> None:
    """255 × 256 is within 16 bits: the farthest items are still the farthest."""
    indices = np.repeat(np.arange(2048) % 16, 256).reshape(2048, 256).T.astype(np.uint8).copy()
    tables = np.tile(np.arange(16, dtype=np.float32), (1, 256, 1))
    found = scan(indices).nearest(tables, 90)
    assert found is not None
    assert found[0].tolist() == list(range(0, 1440, 16))
    assert not found[1].any()
