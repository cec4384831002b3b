import numpy as np
import pytest
import torch

from dqh.index.orders.vectors import L1Order, VectorOrder
from dqh.ranking.side import Side

QUERIES, SIZE = 6, 50


def sides() -> tuple[Side, Side]:
    generator = np.random.default_rng(1)
    made = []
    for count in (QUERIES, SIZE):
        embedding = generator.standard_normal((count, 12)).astype(np.float32)
        made.append(Side(np.empty((count, 0), np.uint8), embedding, embedding[:, :3], generator.integers(0, 3, count)))
    return made[0], made[1]


def distances_of(query: np.ndarray, database: np.ndarray, distance: str, device: str) -> np.ndarray:
    one, other = (Side(np.empty((len(v), 0), np.uint8), v, v, np.zeros(len(v), np.int64)) for v in (query, database))
    order = VectorOrder(one, other, by="features", distance=distance, device=device)
    return order.distances(slice(None)).cpu().numpy()


def test_vectors_are_those_asked_for() -> None:
    query, database = sides()
    for by in ("embedding", "features"):
        (found,) = VectorOrder(query, database, by=by).buckets(stable=True)
        vectors = getattr(query, by)[:, None] - getattr(database, by)
        hits = (query.labels[:, None] == database.labels)[0][np.argsort((vectors[0] ** 2).sum(1), kind="stable")]
        assert np.repeat(found.relevant[0].numpy() > 0, found.counts[0].numpy()).tolist() == hits.tolist()


@pytest.mark.parametrize("distance", ["ip", "cosine"])
def test_other_distances_equal_loops(distance: str, device: str) -> None:
    generator = np.random.default_rng(9)
    query, database = (generator.standard_normal((n, 31)).astype(np.float32) for n in (5, 80))
    query[2], database[[3, 4]] = 0, 0
    database[10] = query[1]
    found = distances_of(query, database, distance, device)
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


def test_equal_vectors_have_equal_distances_wherever_they_stand(device: str) -> None:
    generator = np.random.default_rng(3)
    vectors = (10 * generator.standard_normal((4, 97))).astype(np.float32)
    database = vectors[generator.integers(0, 4, 333)]
    distances = distances_of(vectors, database, "l2", device)
    for q in range(4):
        assert len(np.unique(distances[q])) == 4
        assert (distances[q] == 0).sum() == (database == vectors[q]).all(1).sum()
    assert not np.signbit(distances).any()
    exact = ((vectors[:, None].astype(np.float64) - database) ** 2).sum(2)
    # rounding to float32
    assert np.allclose(distances, exact, rtol=1e-6, atol=0)


def test_l1_is_the_sum_of_differences() -> None:
    query, database = sides()
    keys = L1Order(query, database).keys(slice(1, 4))
    wanted = np.abs(query.features[1:4, None] - database.features).sum(2)
    assert np.array_equal(torch.sort(keys, dim=1, stable=True).indices.numpy(), np.argsort(wanted, axis=1))
