from pathlib import Path

import numpy as np
import pytest

from dqh.codes import pack
from dqh.index import coarse_to_fine
from dqh.index.coarse_to_fine import exhaustive, rerank
from dqh.index.hamming import HammingIndex
from dqh.quantizers.threshold import Threshold
from dqh.ranking import Ranking


def features(count: int, size: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)


def ranking_of(ids: list[list[int]]) -> Ranking:
    return Ranking(np.array(ids, dtype=np.int64), np.zeros((len(ids), len(ids[0])), dtype=np.float32))


def test_rerank_by_hand() -> None:
    """Query 0; features 5, 1, 2, -1 lie at squared distances 25, 1, 4, 1; of the candidates 0, 3, 1 the tie leads."""
    database = np.array([[5], [1], [2], [-1]], dtype=np.float32)
    query = np.zeros((1, 1), dtype=np.float32)
    found = rerank(ranking_of([[0, 3, -1, 1]]), query, database_features=database, k=4)
    assert found.ids.tolist() == [[1, 3, 0, -1]]
    assert found.distances.tolist() == [[1, 1, 25, np.inf]]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_rerank_equals_nested_loops(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coarse_to_fine, "POOL_BYTES", 7 * 4 * 16)  # 7 rows of 16 float32 at a time
    database, query = features(60, 16, seed=0).astype(dtype), features(5, 16, seed=1).astype(dtype)
    candidates = np.stack([np.random.default_rng(q).permutation(60)[:25] for q in range(5)])
    found = rerank(Ranking(candidates, np.zeros((5, 25), np.float32)), query, database_features=database, k=10)
    for q in range(5):
        exact = {
            row: sum((float(a) - float(b)) ** 2 for a, b in zip(query[q], database[row], strict=True))
            for row in candidates[q].tolist()
        }
        wanted = sorted(exact, key=lambda row: exact[row])[:10]
        assert found.ids[q].tolist() == wanted
        # float32 sums of 16 terms
        assert np.allclose(found.distances[q], [exact[row] for row in wanted], rtol=1e-5)


def test_rerank_reads_a_memory_map(tmp_path: Path) -> None:
    database, query = features(40, 8, seed=2), features(3, 8, seed=3)
    np.save(tmp_path / "features.npy", database)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    pool = ranking_of([[5, 9, 31, 2]] * 3)
    found = (rerank(pool, query, database_features=rows, k=4) for rows in (mapped, database))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.filterwarnings("error")
def test_float16_that_may_not_be_written() -> None:
    """As a memory map is. 65504, 2^-24 and -0 are the largest, the smallest and the oddest of float16."""
    database = np.array([[65504, 2**-24], [-0.0, 1], [3, -65504]], np.float16)
    database.flags.writeable = False
    assert coarse_to_fine._as_float32(database).tolist() == [[65504, 2**-24], [0, 1], [3, -65504]]
    assert not database.flags.writeable
    query = np.array([[0, 2]], np.float16)
    assert exhaustive(query, database, k=1).ids.tolist() == [[1]]
    found = rerank(ranking_of([[1, 0]]), query, database_features=database, k=2)
    assert found.distances.tolist() == [[1, np.float32(65504.0**2 + (2 - 2**-24) ** 2)]]


def test_equal_distances_by_id_in_any_order_of_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows 0 … 9 lie at 1, 4, 1, 4 …; the pieces that are read must not matter."""
    monkeypatch.setattr(coarse_to_fine, "POOL_BYTES", 3 * 4)
    database = np.array([[1], [2]] * 5, np.float32)
    found = rerank(ranking_of([[9, 2, 7, 0, 4, -1, 1]]), np.zeros((1, 1), np.float32), database_features=database, k=6)
    assert found.ids.tolist() == [[0, 2, 4, 1, 7, 9]]


def test_rerank_of_everything_is_the_exhaustive_search() -> None:
    database, query = features(80, 12, seed=4), features(6, 12, seed=5)
    everything = ranking_of([list(range(80))] * 6)
    one, other = rerank(everything, query, database_features=database, k=80), exhaustive(query, database, k=80)
    assert np.array_equal(one.ids, other.ids)
    # two ways of summing 12 float32 terms
    assert np.allclose(one.distances, other.distances, rtol=1e-5)


def test_rerank_composes_with_pool_and_radius() -> None:
    generator = np.random.default_rng(6)
    bits = generator.random((100, 16)) < 0.5
    index = HammingIndex(Threshold(16))
    index.add(pack(bits))
    query, database = bits[:4].astype(np.float32), features(100, 8, seed=7)
    by_radius = index.search_radius(query, 6).to_ranking()
    widest = int((by_radius.ids >= 0).sum(axis=1).max())
    fine = rerank(by_radius, database[:4], database_features=database, k=widest)
    for q in range(4):
        inside = by_radius.ids[q][by_radius.ids[q] >= 0]
        assert set(fine.ids[q][: len(inside)]) == set(inside)
        assert (fine.ids[q][len(inside) :] == -1).all()
        assert (np.diff(fine.distances[q][: len(inside)]) >= 0).all()
    # each is its own nearest neighbour, by code and by features
    nearest = rerank(index.search(query, 10), database[:4], database_features=database, k=1)
    assert nearest.ids.ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_exhaustive_in_chunks_equals_one_chunk(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    database, query = features(90, 10, seed=8).astype(dtype), features(30, 10, seed=9).astype(dtype)
    whole = exhaustive(query, database, k=95)
    monkeypatch.setattr(coarse_to_fine, "CHUNK_BYTES", 13 * 4 * 10)
    chunked = exhaustive(query, database, k=95)
    assert np.array_equal(whole.ids, chunked.ids)
    assert (whole.ids[:, 90:] == -1).all()
    assert np.isinf(whole.distances[:, 90:]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be a whole number from 1 to 1,048,576, got 0"),
        ({"query": np.zeros((2, 3), np.float32)}, ValueError, r"got \(2, 3\) and \(4, 2\)"),
        ({"query": np.zeros((1, 2), np.float32)}, ValueError, "a row for each of the 1 query features"),
        ({"query": np.zeros((2, 2), np.float64)}, TypeError, "query_features must be float32 or float16, got float64"),
        ({"ids": [[0], [4]]}, ValueError, "ranking holds id 4, database_features has 4 rows"),
    ],
)
def test_rerank_errors(arguments: dict, error: type[Exception], message: str) -> None:
    given = {"ids": [[0], [1]], "query": np.zeros((2, 2), np.float32), "k": 1} | arguments
    with pytest.raises(error, match=message):
        rerank(ranking_of(given["ids"]), given["query"], database_features=np.zeros((4, 2), np.float32), k=given["k"])


@pytest.mark.parametrize("where", ["query", "item"])
def test_features_that_are_not_finite_are_refused(where: str) -> None:
    query, items = np.zeros((2, 3), np.float32), np.ones((5, 3), np.float32)
    (query if where == "query" else items)[1, 0] = np.nan
    ranking = Ranking(np.tile(np.arange(5), (2, 1)), np.zeros((2, 5), np.float32))
    with pytest.raises(ValueError, match="must be finite"):
        rerank(ranking, query, database_features=items, k=2)
    with pytest.raises(ValueError, match="must be finite"):
        exhaustive(query, items, k=5)


@pytest.mark.parametrize("queries", [0, 1, 2, 7])
def test_threads_that_share_queries_change_nothing(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    database, features = (rng.standard_normal((rows, 33)).astype(np.float16) for rows in (500, queries))
    candidates = rng.integers(-1, 500, (queries, 60))
    ranking = Ranking(candidates, np.zeros(candidates.shape, np.float32))
    wanted = rerank(ranking, features, database_features=database, k=9)
    monkeypatch.setattr(coarse_to_fine, "_SHARED", 0)
    for count in (1, 3, 16):
        monkeypatch.setattr(coarse_to_fine, "threads", lambda count=count: count)
        for one, other in zip(rerank(ranking, features, database_features=database, k=9), wanted, strict=True):
            assert np.array_equal(one, other)
    if queries > 1:
        database[candidates[1].max()] = np.nan
        with pytest.raises(ValueError, match="must be finite"):
            rerank(ranking, features, database_features=database, k=9)
