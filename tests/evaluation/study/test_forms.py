"""Raw features by L2 and L1, and bits by Hamming."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dqh.codes import pack
from dqh.evaluation.conventions import Convention
from dqh.evaluation.measure import Tally
from dqh.evaluation.metrics import average_precision, hits_at
from dqh.evaluation.study import forms as module
from dqh.evaluation.study.forms import Cut, TapSide, form_rows, medians, random_order
from dqh.index.orders.vectors import VectorOrder
from dqh.index.ways import WAYS
from dqh.ranking.buckets import Buckets
from dqh.ranking.side import Side


def tally(size: int) -> Tally:
    return Tally(Convention(), size, map_cutoffs=(None,), precision_cutoffs=(1, 5), recall_cutoffs=())


def rows_of(query: np.ndarray, database: np.ndarray, labels: tuple[list[int], list[int]], **more: int) -> list[dict]:
    sides = (
        TapSide(np.array(each, np.float32), np.array(own)) for each, own in zip((query, database), labels, strict=True)
    )
    return form_rows(*sides, tally=tally, **{"answers": 10, "timed": 0} | more)


def test_each_form_ranks_by_its_own_distance() -> None:
    """The query (0, 0) of class 1 against a = (3, 3) of class 1 and b = (5, 0) of class 0.

    Squared L2: a 18, b 25: a first, AP 1. L1: a 6, b 5: b first, AP 1/2.
    Bits above 0: query 00, a 11, b 10: b first, AP 1/2.
    Medians of the database (4, 1.5): query 00, a 01, b 10: a tie, AP (1 + 1/2) / 2.
    """
    rows = rows_of([[0, 0]], [[3, 3], [5, 0]], ([1], [1, 0]))
    assert [(row["form"], row["distance"], row["mAP@all"], row["P@1"]) for row in rows] == [
        ("raw", "L2", 1.0, 1.0),
        ("raw", "L1", 0.5, 0.0),
        ("> 0", "Hamming", 0.5, 0.0),
        ("> median", "Hamming", 0.75, 0.5),
    ]
    assert [row["bytes_per_item"] for row in rows] == [8, 8, 1, 1]
    assert {row["dimension"] for row in rows} == {2}
    assert all("P@5" not in row and "query_ms" not in row for row in rows)


def test_searches_are_timed_where_asked_for() -> None:
    generator = np.random.default_rng(0)
    rows = rows_of(generator.random((3, 20)), generator.random((4, 20)), ([0] * 3, [0] * 4), timed=9, answers=7)
    assert all(row["query_ms"] > 0 for row in rows)


@settings(deadline=None, max_examples=50)
@given(st.data(), st.integers(1, 40))
def test_on_bits_l1_squared_l2_and_hamming_are_one_distance(data: st.DataObject, bits: int) -> None:
    shapes = st.integers(1, 9).map(lambda rows: (rows, bits))
    query, database = (data.draw(arrays(np.bool_, shapes)) for _ in range(2))
    cut = Cut(np.zeros(bits, np.float32))
    floats = query.astype(np.float32), database.astype(np.float32)
    apart = (query[:, None] != database[None]).sum(2)
    assert np.array_equal(np.abs(floats[0][:, None] - floats[1][None]).sum(2), apart)
    sides = [
        Side(pack(side), floats, floats, data.draw(arrays(np.int64, len(side), elements=st.integers(0, 2))))
        for side, floats in zip((query, database), floats, strict=True)
    ]
    assert np.array_equal(VectorOrder(*sides, by="features").distances(slice(None)).numpy(), apart)
    every = list(range(1, len(database) + 1))
    found = [
        (torch.cat([average_precision(each) for each in chunks]), torch.cat([hits_at(each, every) for each in chunks]))
        for chunks in (
            list(WAYS[name].order(*sides, cut).buckets()) for name in ("exhaustive_l1", "exhaustive", "binary")
        )
    ]
    for precision, hits in found[1:]:
        # the same fractions, summed in another grouping
        assert torch.allclose(precision, found[0][0], rtol=0, atol=1e-12)
        assert torch.allclose(hits, found[0][1], rtol=0, atol=1e-12)


def plain_average_precision(distances: np.ndarray, relevant: np.ndarray) -> float:
    """The mean over all orders of ties, one after another."""
    if not relevant.any():
        return 0.0
    groups = [np.flatnonzero(distances == value) for value in np.unique(distances)]
    scores = []
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        hits, score = 0, 0.0
        for rank, item in enumerate(itertools.chain(*orders), start=1):
            if relevant[item]:
                hits += 1
                score += hits / rank
        scores.append(score / relevant.sum())
    return float(np.mean(scores))


def test_every_form_equals_nested_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 12)  # every boundary of chunks is crossed
    generator = np.random.default_rng(1)
    query, database = (generator.integers(-2, 3, (n, 3)).astype(np.float32) for n in (5, 7))
    labels = generator.integers(0, 2, 5), generator.integers(0, 2, 7)
    middle = np.array([sorted(column)[3] for column in database.T])
    wanted = []
    for distance in (
        lambda q, x: sum((a - b) ** 2 for a, b in zip(q, x, strict=True)),
        lambda q, x: sum(abs(a - b) for a, b in zip(q, x, strict=True)),
        lambda q, x: sum((a > 0) != (b > 0) for a, b in zip(q, x, strict=True)),
        lambda q, x: sum((a > m) != (b > m) for a, b, m in zip(q, x, middle, strict=True)),
    ):
        apart = np.array([[distance(q, x) for x in database] for q in query])
        relevant = labels[0][:, None] == labels[1][None]
        wanted.append(np.mean([plain_average_precision(*each) for each in zip(apart, relevant, strict=True)]))
    found = [row["mAP@all"] for row in rows_of(query, database, labels)]
    assert found == pytest.approx(wanted, abs=1e-12)


def test_medians_are_those_of_each_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1, 5, 2, 9 the middle two are 2 and 5: 3.5; of 0, 0, 0, 8 it is 0."""
    features = np.array([[1, 0], [5, 0], [2, 0], [9, 8]], np.float32)
    assert medians(features).tolist() == [3.5, 0]
    monkeypatch.setattr(module, "_CHUNK", 1)
    assert medians(features).tolist() == [3.5, 0]


def test_a_bit_is_set_strictly_above_its_threshold() -> None:
    codes = Cut(np.array([0.0, -1.0], np.float32)).encode(np.array([[0.0, 1.0], [2.0, -1.0]], np.float32))
    assert codes.tolist() == [[0b10], [0b01]]


def test_multi_labels(device: str) -> None:
    query, database = np.zeros((1, 2), np.float32), np.array([[1, 0], [0, 3]], np.float32)
    labels = np.array([[True, True, False]]), np.eye(3, dtype=bool)[1:]
    sides = [
        Side(np.empty((len(each), 0), np.uint8), each, each, own)
        for each, own in zip((query, database), labels, strict=True)
    ]
    (chunk,) = WAYS["exhaustive_l1"].order(*sides, None, device=device).buckets()
    assert chunk.counts.tolist() == [[1, 1]]
    assert chunk.relevant.tolist() == [[1, 0]]


def test_a_random_order_scores_the_mean_of_all_orders() -> None:
    """One relevant of two: (1 + 1/2) / 2. Two of two: 1. None: 0."""
    chunks = list(random_order(np.array([0, 1, 2]), np.array([0, 3])))
    assert isinstance(chunks[0], Buckets)
    assert torch.cat([average_precision(each) for each in chunks]).tolist() == [0.75, 0.0, 0.0]
    assert average_precision(*random_order(np.array([4]), np.array([4, 4]))).tolist() == [1.0]
