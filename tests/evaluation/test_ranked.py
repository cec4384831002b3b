from collections.abc import Iterator

import numpy as np
import pytest
import torch

from dqh.codes import hamming, pack
from dqh.evaluation import ranked as module
from dqh.evaluation.buckets import Buckets, hamming_buckets, hamming_pools
from dqh.evaluation.metrics import average_precision, hits_at
from dqh.evaluation.ranked import (
    Coarse,
    exhaustive_buckets,
    feature_buckets,
    float_keys,
    key_buckets,
    key_pools,
    vector_distances,
)

QUERIES, SIZE, BITS, FEATURES = 7, 60, 12, 5


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries a chunk, two chunks a block: every boundary is crossed."""
    for device in ("cpu", "cuda"):
        monkeypatch.setitem(module._PAIRS, device, 2 * SIZE)
        monkeypatch.setitem(module._BLOCK_CHUNKS, device, 2)
        monkeypatch.setitem(module._READ_VALUES, device, 7 * FEATURES)


class Case:
    """Integer features and few distinct codes: distances are exact, and many are equal."""

    def __init__(self, seed: int = 0, device: str = "cpu") -> None:
        self.device = device
        generator = np.random.default_rng(seed)
        self.query = generator.integers(0, 3, (QUERIES, FEATURES)).astype(np.float32)
        self.database = generator.integers(0, 3, (SIZE, FEATURES)).astype(np.float32)
        self.query_codes = pack(generator.random((QUERIES, BITS)) < 0.3)
        self.database_codes = pack(generator.random((SIZE, BITS)) < 0.3)
        self.query_labels = generator.integers(0, 3, QUERIES)
        self.database_labels = generator.integers(0, 3, SIZE)

    def coarse(self, **pool: int) -> Coarse:
        histograms = hamming_buckets(
            self.query_codes,
            self.database_codes,
            query_labels=self.query_labels,
            database_labels=self.database_labels,
            bits=BITS,
        )
        return Coarse(self.keys, hamming_pools(histograms, **pool))

    def keys(self, rows: slice) -> torch.Tensor:
        return torch.from_numpy(hamming(self.query_codes[rows], self.database_codes)).int().to(self.device)

    def fine(self) -> np.ndarray:
        return ((self.query[:, None] - self.database[None]) ** 2).sum(2)

    def relevant(self) -> np.ndarray:
        return self.query_labels[:, None] == self.database_labels[None]


def joined(chunks: Iterator[Buckets] | list[Buckets]) -> list[tuple[list[int], list[int]]]:
    """Items and relevant items of each query, without empty buckets."""
    return [
        tuple(zip(*[(n, r) for n, r in zip(*both, strict=True) if n], strict=True))
        for chunk in chunks
        for both in zip(chunk.counts.tolist(), chunk.relevant.tolist(), strict=True)
    ]


def plain(keys: np.ndarray, relevant: np.ndarray) -> Buckets:
    """One bucket a distinct key, nothing merged."""
    values = np.unique(keys)
    counts = [[int((row == value).sum()) for value in values] for row in keys]
    hits = [[int(own[row == value].sum()) for value in values] for row, own in zip(keys, relevant, strict=True)]
    return Buckets(torch.tensor(counts), torch.tensor(hits))


def assert_same_metrics(chunks: list[Buckets], wanted: Buckets) -> None:
    for cutoff in (None, 1, 7, 25):
        found = torch.cat([average_precision(chunk, cutoff=cutoff) for chunk in chunks]).cpu()
        # the same fractions, summed in another grouping
        assert torch.allclose(found, average_precision(wanted, cutoff=cutoff), rtol=0, atol=1e-13)
    every = list(range(1, SIZE + 1))
    found = torch.cat([hits_at(chunk, every) for chunk in chunks]).cpu()
    assert torch.allclose(found, hits_at(wanted, every), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_exhaustive_equals_nested_loops(dtype: type, device: str) -> None:
    case = Case(0, device)
    chunks = list(
        feature_buckets(
            case.query.astype(dtype),
            case.database.astype(dtype),
            query_labels=case.query_labels,
            database_labels=case.database_labels,
            coarse=case.coarse(pool=1),
            device=device,
        )
    )
    assert [len(chunk.exhaustive) for chunk in chunks] == [2, 2, 2, 1]
    assert [len(chunk.coarse_to_fine) for chunk in chunks] == [2, 2, 2, 1]
    assert_same_metrics([chunk.exhaustive for chunk in chunks], plain(case.fine(), case.relevant()))
    labels = {"query_labels": case.query_labels, "database_labels": case.database_labels, "device": device}
    alone = list(exhaustive_buckets(case.query, case.database, **labels))
    assert_same_metrics(alone, plain(case.fine(), case.relevant()))


@pytest.mark.parametrize("pool", [{"pool": 1}, {"pool": 20}, {"pool": 1000}, {"radius": 0}, {"radius": 3}])
def test_coarse_to_fine_equals_nested_loops(pool: dict[str, int], device: str) -> None:
    case = Case(1, device)
    coarse = case.coarse(**pool)
    codes = hamming(case.query_codes, case.database_codes)
    keys = np.where(codes <= coarse.pools.radii.numpy()[:, None], case.fine(), 1e6 + codes)
    chunks = list(
        feature_buckets(
            case.query,
            case.database,
            query_labels=case.query_labels,
            database_labels=case.database_labels,
            coarse=coarse,
            device=device,
        )
    )
    assert_same_metrics([chunk.coarse_to_fine for chunk in chunks], plain(keys, case.relevant()))
    assert_same_metrics([chunk.exhaustive for chunk in chunks], plain(case.fine(), case.relevant()))


def test_ties_in_order_equal_a_stable_sort(device: str) -> None:
    case = Case(2, device)
    labels = {"query_labels": case.query_labels, "database_labels": case.database_labels, "device": device}
    coarse = case.coarse(pool=20)
    chunks = list(feature_buckets(case.query, case.database, coarse=coarse, stable=True, **labels))
    codes = hamming(case.query_codes, case.database_codes)
    inside = codes <= coarse.pools.radii.numpy()[:, None]
    for found, keys in (
        ([chunk.exhaustive for chunk in chunks], case.fine()),
        (list(exhaustive_buckets(case.query, case.database, stable=True, **labels)), case.fine()),
        ([chunk.coarse_to_fine for chunk in chunks], np.where(inside, case.fine(), 1e6 + codes)),
        (list(key_buckets(case.keys, stable=True, **labels)), codes),
    ):
        order = np.argsort(keys, axis=1, kind="stable")
        ranks = np.argsort(order, axis=1)
        assert_same_metrics(found, plain(ranks, case.relevant()))


def test_keys_that_are_signed_floats_equal_nested_loops(device: str) -> None:
    """Coarse by −Σ q·x, of small integers: pools by the smallest whole ball, then features, the others in order."""
    case = Case(7, device)
    vectors = np.random.default_rng(8).integers(-2, 3, (QUERIES + SIZE, 3)).astype(np.float32)
    similar = vectors[:QUERIES] @ vectors[QUERIES:].T

    def keys(rows: slice) -> torch.Tensor:
        return float_keys(torch.from_numpy(-similar[rows]).to(device), signed=True)

    labels = {"query_labels": case.query_labels, "database_labels": case.database_labels, "device": device}
    assert_same_metrics(list(key_buckets(keys, **labels)), plain(-similar, case.relevant()))
    order = np.argsort(np.argsort(-similar, axis=1, kind="stable"), axis=1)
    assert_same_metrics(list(key_buckets(keys, stable=True, **labels)), plain(order, case.relevant()))
    pools = key_pools(keys, queries=QUERIES, items=SIZE, pool=15, device=device)
    radii = -np.sort(-similar, axis=1)[:, 14]
    inside = similar >= radii[:, None]
    assert pools.sizes.tolist() == inside.sum(1).tolist()
    chunks = feature_buckets(case.query, case.database, coarse=Coarse(keys, pools), **labels)
    wanted = np.where(inside, case.fine(), 1e6 - similar)
    assert_same_metrics([chunk.coarse_to_fine for chunk in chunks], plain(wanted, case.relevant()))


def test_pools_of_keys_by_hand() -> None:
    """Keys 3 1 1 5: one item wanted gives the ball of 1 with two items, three give that of 3, four and more all."""
    keys = torch.tensor([[3, 1, 1, 5]])
    for pool, radius, size in ((1, 1, 2), (2, 1, 2), (3, 3, 3), (4, 5, 4), (9, 5, 4)):
        found = key_pools(lambda rows: keys[rows], queries=1, items=4, pool=pool)
        assert (found.radii.tolist(), found.sizes.tolist()) == ([radius], [size])
    with pytest.raises(ValueError, match="pool must be at least 1 item, got 0"):
        key_pools(lambda rows: keys[rows], queries=1, items=4, pool=0)


def test_keys_order_as_floats_do() -> None:
    values = np.array([[-np.inf, -2.5, -1e-45, -0.0, 0.0, 1e-45, 1.0, np.inf]], np.float32)
    keys = float_keys(torch.from_numpy(values), signed=True)
    assert keys.dtype == torch.int64
    assert torch.equal(torch.sign(keys[0].diff()), torch.tensor([1, 1, 1, 0, 1, 1, 1]))
    plain_keys = float_keys(torch.from_numpy(values[:, 4:]), signed=False)
    assert plain_keys.dtype == torch.int32
    assert torch.equal(plain_keys.long(), keys[:, 4:])


@pytest.mark.parametrize("distance", ["ip", "cosine"])
def test_other_distances_equal_loops(distance: str, device: str) -> None:
    generator = np.random.default_rng(9)
    query, database = (generator.standard_normal((n, 31)).astype(np.float32) for n in (5, 80))
    query[2], database[[3, 4]] = 0, 0
    database[10] = query[1]
    found = vector_distances(query, database, distance=distance, device=device).cpu().numpy()
    for q in range(5):
        for i in range(80):
            one, other = query[q].astype(np.float64), database[i].astype(np.float64)
            lengths = np.linalg.norm(one) * np.linalg.norm(other)
            wanted = -(one @ other) if distance == "ip" else 1 - (one @ other / lengths if lengths else 0)
            # rounding to float32; of a cosine near 1 what the difference from 1 loses
            assert found[q, i] == pytest.approx(wanted, rel=1e-6, abs=1e-12)
    if distance == "cosine":
        assert found[1, 10] == 0
        assert (found >= 0).all()


@pytest.mark.parametrize("distance", ["ip", "cosine"])
def test_buckets_by_other_distances_equal_loops(distance: str, device: str) -> None:
    """Small integers: inner products are exact; vectors of the same direction are tied by cosine."""
    case = Case(10, device)
    case.query, case.database = case.query - 1, case.database - 1
    product = case.query @ case.database.T
    lengths = np.linalg.norm(case.query, axis=1)[:, None] * np.linalg.norm(case.database, axis=1)
    # cos² · sign is a fraction of small whole numbers, and so exactly tied where cos is
    squares = np.sign(product) * np.round(product**2 / np.where(lengths > 0, lengths**2, 1), 9)
    labels = {"query_labels": case.query_labels, "database_labels": case.database_labels, "device": device}
    keys = -product if distance == "ip" else -squares
    found = list(exhaustive_buckets(case.query, case.database, distance=distance, **labels))
    assert_same_metrics(found, plain(keys, case.relevant()))


def test_equal_vectors_have_equal_distances_wherever_they_stand(device: str) -> None:
    generator = np.random.default_rng(3)
    vectors = (10 * generator.standard_normal((4, 97))).astype(np.float32)
    database = vectors[generator.integers(0, 4, 333)]
    distances = vector_distances(vectors, database, device=device).cpu().numpy()
    for q in range(4):
        assert len(np.unique(distances[q])) == 4
        assert (distances[q] == 0).sum() == (database == vectors[q]).all(1).sum()
    assert not np.signbit(distances).any()
    exact = ((vectors[:, None].astype(np.float64) - database) ** 2).sum(2)
    # rounding to float32
    assert np.allclose(distances, exact, rtol=1e-6, atol=0)


def test_database_order_changes_nothing() -> None:
    case, shuffled = Case(4), Case(4)
    generator = np.random.default_rng(5)
    for one in (case, shuffled):
        one.database = np.random.default_rng(6).standard_normal((SIZE, FEATURES)).astype(np.float32)
    order = generator.permutation(SIZE)
    for name in ("database", "database_codes", "database_labels"):
        setattr(shuffled, name, getattr(case, name)[order])
    first, second = (
        joined(
            chunk.coarse_to_fine
            for chunk in feature_buckets(
                one.query,
                one.database,
                query_labels=one.query_labels,
                database_labels=one.database_labels,
                coarse=one.coarse(pool=15),
            )
        )
        for one in (case, shuffled)
    )
    assert first == second


@pytest.mark.parametrize("side", ["query", "database"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_must_be_finite(side: str, value: float) -> None:
    case = Case()
    getattr(case, side)[1, 2] = value
    with pytest.raises(ValueError, match=f"{side} features must be finite, got NaN or infinity in row 1"):
        list(
            feature_buckets(
                case.query,
                case.database,
                query_labels=case.query_labels,
                database_labels=case.database_labels,
                coarse=case.coarse(pool=1),
            )
        )
