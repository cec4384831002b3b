from collections.abc import Iterator

import numpy as np
import pytest
import torch

from dqh.codes import hamming, pack
from dqh.evaluation.metrics import average_precision, hits_at
from dqh.index.orders import vectors as module
from dqh.index.orders.coarse_to_fine import FineOrder
from dqh.index.orders.hamming import HammingOrder
from dqh.index.orders.order import Order
from dqh.index.orders.vectors import VectorOrder
from dqh.ranking import keys as keys_module
from dqh.ranking.buckets import Buckets, group
from dqh.ranking.keys import float_keys, key_buckets
from dqh.ranking.side import Side

QUERIES, SIZE, BITS, FEATURES = 7, 60, 12, 5


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries a chunk, two chunks a block: every boundary is crossed."""
    for device in ("cpu", "cuda"):
        monkeypatch.setitem(keys_module._PAIRS, device, 2 * SIZE)
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

    def sides(self) -> tuple[Side, Side]:
        return (
            Side(self.query_codes, self.query, self.query, self.query_labels),
            Side(self.database_codes, self.database, self.database, self.database_labels),
        )

    def fine_order(self, **pool: int) -> FineOrder:
        return FineOrder(HammingOrder(*self.sides(), bits=BITS, device=self.device), **pool)

    def keys(self, rows: slice) -> torch.Tensor:
        return torch.from_numpy(hamming(self.query_codes[rows], self.database_codes)).int().to(self.device)

    def order(self, distance: str = "l2") -> VectorOrder:
        return VectorOrder(*self.sides(), by="features", distance=distance, device=self.device)

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
    case.query, case.database = case.query.astype(dtype), case.database.astype(dtype)
    chunks = list(case.fine_order(pool=1).ranked())
    assert [len(chunk.exhaustive) for chunk in chunks] == [2, 2, 2, 1]
    assert [len(chunk.coarse_to_fine) for chunk in chunks] == [2, 2, 2, 1]
    assert_same_metrics([chunk.exhaustive for chunk in chunks], plain(case.fine(), case.relevant()))
    assert_same_metrics(list(case.order().buckets()), plain(case.fine(), case.relevant()))


@pytest.mark.parametrize("pool", [{"pool": 1}, {"pool": 20}, {"pool": 1000}, {"radius": 0}, {"radius": 3}])
def test_coarse_to_fine_equals_nested_loops(pool: dict[str, int], device: str) -> None:
    case = Case(1, device)
    order = case.fine_order(**pool)
    codes = hamming(case.query_codes, case.database_codes)
    keys = np.where(codes <= order.balls.radii.cpu().numpy()[:, None], case.fine(), 1e6 + codes)
    chunks = list(order.ranked())
    assert_same_metrics([chunk.coarse_to_fine for chunk in chunks], plain(keys, case.relevant()))
    assert_same_metrics([chunk.exhaustive for chunk in chunks], plain(case.fine(), case.relevant()))


def test_ties_in_order_equal_a_stable_sort(device: str) -> None:
    case = Case(2, device)
    labels = {"query_labels": case.query_labels, "database_labels": case.database_labels, "device": device}
    fine = case.fine_order(pool=20)
    chunks = list(fine.ranked(stable=True))
    codes = hamming(case.query_codes, case.database_codes)
    inside = codes <= fine.balls.radii.cpu().numpy()[:, None]
    for found, keys in (
        ([chunk.exhaustive for chunk in chunks], case.fine()),
        (list(case.order().buckets(stable=True)), case.fine()),
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

    class Similar(Order):
        def keys(self, rows: slice) -> torch.Tensor:
            return float_keys(torch.from_numpy(-similar[rows]).to(device), signed=True)

    coarse = Similar(*case.sides(), device=device)
    assert_same_metrics(list(coarse.buckets()), plain(-similar, case.relevant()))
    order = np.argsort(np.argsort(-similar, axis=1, kind="stable"), axis=1)
    assert_same_metrics(list(coarse.buckets(stable=True)), plain(order, case.relevant()))
    fine = FineOrder(coarse, pool=15)
    radii = -np.sort(-similar, axis=1)[:, 14]
    inside = similar >= radii[:, None]
    assert fine.balls.sizes.tolist() == inside.sum(1).tolist()
    wanted = np.where(inside, case.fine(), 1e6 - similar)
    assert_same_metrics(list(fine.buckets()), plain(wanted, case.relevant()))


@pytest.mark.parametrize("distance", ["ip", "cosine"])
def test_buckets_by_other_distances_equal_loops(distance: str, device: str) -> None:
    """Small integers: inner products are exact; vectors of the same direction are tied by cosine."""
    case = Case(10, device)
    case.query, case.database = case.query - 1, case.database - 1
    product = case.query @ case.database.T
    lengths = np.linalg.norm(case.query, axis=1)[:, None] * np.linalg.norm(case.database, axis=1)
    # cos² · sign is a fraction of small whole numbers, and so exactly tied where cos is
    squares = np.sign(product) * np.round(product**2 / np.where(lengths > 0, lengths**2, 1), 9)
    keys = -product if distance == "ip" else -squares
    order = case.order(distance)
    assert_same_metrics(list(order.buckets()), plain(keys, case.relevant()))
    assert_same_metrics(
        [group(order.keys(slice(None)), torch.from_numpy(case.relevant()).to(device))], plain(keys, case.relevant())
    )


def test_database_order_changes_nothing() -> None:
    case, shuffled = Case(4), Case(4)
    generator = np.random.default_rng(5)
    for one in (case, shuffled):
        one.database = np.random.default_rng(6).standard_normal((SIZE, FEATURES)).astype(np.float32)
    order = generator.permutation(SIZE)
    for name in ("database", "database_codes", "database_labels"):
        setattr(shuffled, name, getattr(case, name)[order])
    first, second = (joined(one.fine_order(pool=15).buckets()) for one in (case, shuffled))
    assert first == second


@pytest.mark.parametrize("side", ["query", "database"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_must_be_finite(side: str, value: float) -> None:
    case = Case()
    getattr(case, side)[1, 2] = value
    with pytest.raises(ValueError, match=f"{side} features must be finite, got NaN or infinity in row 1"):
        list(case.fine_order(pool=1).buckets())
