from typing import Any

import numpy as np
import pytest

from dqh.evaluation import searches as module
from dqh.evaluation.searches import Side, require_rows, searcher, searches_of, times
from dqh.index import HammingIndex, RadiusHits, exhaustive
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking import Ranking

BITS = 20
QUANTIZER = Threshold(BITS)
CODEBOOKS = np.random.default_rng(0).random((4, 8, 5), dtype=np.float32)
PRODUCT, BY_PRODUCT = (ProductQuantizer.from_codebooks(CODEBOOKS, distance=distance) for distance in ("l2", "ip"))


def side(count: int, *, seed: int, quantizer: Quantizer = QUANTIZER) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, BITS), dtype=np.float32)
    features = generator.standard_normal((count, 6), dtype=np.float32)
    return Side(quantizer.encode(embedding), embedding, features, np.zeros(count, np.int64))


def coarse_to_fine(query: Side, database: Side, *, pool: int = 1000, radius: int | None = None) -> Ranking:
    way = searcher("coarse_to_fine", database, QUANTIZER, pool=pool, radius=radius, k=95)
    return way(query.embedding, query.features)


def test_a_pool_of_everything_is_the_exhaustive_search() -> None:
    query, database = side(5, seed=0), side(90, seed=1)
    found, wanted = coarse_to_fine(query, database), exhaustive(query.features, database.features, k=95)
    assert np.array_equal(found.ids, wanted.ids)
    # two ways of summing 6 float32 terms
    assert np.allclose(found.distances, wanted.distances, rtol=1e-5)


@pytest.mark.parametrize("candidates", [{"pool": 50}, {"radius": 9}, {"radius": BITS}])
def test_queries_in_chunks_equal_all_at_once(candidates: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    query, database = side(7, seed=2), side(90, seed=3)
    whole = coarse_to_fine(query, database, **candidates)
    for hits in (1, 200):
        monkeypatch.setattr(module, "_HITS", hits)
        for one, other in zip(coarse_to_fine(query, database, **candidates), whole, strict=True):
            assert np.array_equal(one, other)


def test_no_query_has_no_answer() -> None:
    nothing = Side(*(values[:0] for values in side(1, seed=0)))
    for candidates in ({"pool": 5}, {"radius": 3}):
        assert coarse_to_fine(nothing, side(9, seed=1), **candidates).ids.shape == (0, 95)


def test_a_wide_radius_holds_few_candidates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 queries × 300 items, all within 20 bits: 12,000 hits, where 2,000 are allowed."""
    held = []
    search_radius = HammingIndex.search_radius

    def spy(*arguments: Any) -> RadiusHits:
        hits = search_radius(*arguments)
        held.append(len(hits.ids))
        return hits

    monkeypatch.setattr(HammingIndex, "search_radius", spy)
    monkeypatch.setattr(module, "_HITS", 2000)
    query, database = side(40, seed=4), side(300, seed=5)
    times(searcher("coarse_to_fine", database, QUANTIZER, pool=1, radius=BITS, k=10), query, timed=2)
    assert max(held) == 1800
    assert sum(held) == (1 + 2 + 40) * 300


@pytest.mark.parametrize("quantizer", [QUANTIZER, PRODUCT])
def test_times_of_each_search(quantizer: Quantizer) -> None:
    database, query = (side(n, seed=seed, quantizer=quantizer) for n, seed in ((50, 6), (3, 7)))
    for search in searches_of(quantizer):
        found = times(searcher(search, database, quantizer, pool=9, radius=None, k=5), query, timed=9)
        assert set(found) == {"query_ms", "qps"}
        assert all(value > 0 for value in found.values())


def test_names_follow_the_kind_of_codes() -> None:
    assert searches_of(QUANTIZER) == ("binary", "exhaustive", "coarse_to_fine")
    floats = ("embedding_l2", "embedding_ip", "embedding_cosine", "exhaustive", "coarse_to_fine")
    assert searches_of(PRODUCT) == ("aqd_l2", "aqd_ip", "aqd_cosine", "sqd_l2", *floats)
    assert searches_of(BY_PRODUCT) == ("aqd_ip", "aqd_l2", "aqd_cosine", "sqd_ip", *floats)
    with pytest.raises(ValueError, match="search must be one of binary, exhaustive, coarse_to_fine, got 'aqd_l2'"):
        searcher("aqd_l2", side(5, seed=0), QUANTIZER, pool=1, radius=None, k=1)
    with pytest.raises(ValueError, match=r"search must be one of aqd_l2, .* got 'binary'"):
        searcher("binary", side(5, seed=0, quantizer=PRODUCT), PRODUCT, pool=1, radius=None, k=1)


def loops(search: str, query: Side, database: Side) -> np.ndarray:
    """(Q, N) distances of a search, pair by pair in float64."""
    kind, _, distance = search.partition("_")
    queries = PRODUCT.decode(query.codes) if kind == "sqd" else query.embedding
    items = database.embedding if kind == "embedding" else PRODUCT.decode(database.codes)
    found = np.empty((len(queries), len(items)))
    for q, one in enumerate(queries.astype(np.float64)):
        for i, other in enumerate(items.astype(np.float64)):
            lengths = np.linalg.norm(one) * np.linalg.norm(other)
            found[q, i] = {
                "l2": ((one - other) ** 2).sum(),
                "ip": -(one @ other),
                "cosine": 1 - (one @ other / lengths if lengths else 0),
            }[distance]
    return found


@pytest.mark.parametrize("search", [*searches_of(PRODUCT)[:7], "sqd_ip"])
def test_product_quantized_searches_equal_loops(search: str) -> None:
    quantizer = BY_PRODUCT if search == "sqd_ip" else PRODUCT
    database, query = (side(n, seed=seed, quantizer=PRODUCT) for n, seed in ((40, 8), (4, 9)))
    database.embedding[7], query.embedding[1] = 0, 0
    found = searcher(search, database, quantizer, pool=1, radius=None, k=45)(query.embedding, query.features)
    wanted = loops(search, query._replace(codes=PRODUCT.encode(query.embedding)), database)
    assert np.array_equal(found.ids[:, 40:], np.full((4, 5), -1))
    for ids, distances, own in zip(found.ids[:, :40], found.distances, wanted, strict=True):
        assert np.array_equal(np.sort(ids), np.arange(40))
        # float32 sums and products of 20 numbers below 1
        assert np.allclose(distances[:40], own[ids], rtol=1e-5, atol=1e-5)
        assert np.allclose(own[ids], np.sort(own), rtol=0, atol=2e-5)


@pytest.mark.parametrize("quantizer", [PRODUCT, BY_PRODUCT])
def test_coarse_to_fine_by_aqd_reranks_the_nearest_codes(quantizer: ProductQuantizer) -> None:
    database, query = (side(n, seed=seed, quantizer=PRODUCT) for n, seed in ((40, 10), (4, 11)))
    way = searcher("coarse_to_fine", database, quantizer, pool=6, radius=None, k=6)
    coarse = searcher(searches_of(quantizer)[0], database, quantizer, pool=6, radius=None, k=6)
    found, pool = (each(query.embedding, query.features) for each in (way, coarse))
    assert np.array_equal(np.sort(found.ids), np.sort(pool.ids))
    assert (np.diff(found.distances) >= 0).all()


def test_sides_that_do_not_fit() -> None:
    query, database = side(3, seed=0), side(4, seed=1)
    require_rows(query, database._replace(embedding=query.embedding))
    with pytest.raises(ValueError, match="embedding of the database must have a row for each of its 4 codes, got 3"):
        require_rows(query, database._replace(embedding=query.embedding), embedded=True)
    with pytest.raises(ValueError, match=r"features of the database .* 4 codes, got 3\n.* got \(3, 6\) and \(3, 5\)"):
        require_rows(query, database._replace(features=np.zeros((3, 5), np.float32)))
