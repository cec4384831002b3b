from typing import Any

import numpy as np
import pytest

from dqh.evaluation.measure import times
from dqh.index import HammingIndex, RadiusHits, exhaustive
from dqh.index.ways import WAYS, Candidates, Searcher, main_way
from dqh.index.ways import coarse_to_fine as module
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking import Ranking
from dqh.ranking.side import Side

BITS = 20
QUANTIZER = Threshold(BITS)
CODEBOOKS = np.random.default_rng(0).random((4, 8, 5), dtype=np.float32)
PRODUCT, BY_PRODUCT = (ProductQuantizer.from_codebooks(CODEBOOKS, distance=distance) for distance in ("l2", "ip"))


def side(count: int, *, seed: int, quantizer: Quantizer = QUANTIZER) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, BITS), dtype=np.float32)
    features = generator.standard_normal((count, 6), dtype=np.float32)
    return Side(quantizer.encode(embedding), embedding, features, np.zeros(count, np.int64))


def searcher(
    name: str, database: Side, quantizer: Quantizer, *, k: int, pool: int = 1000, radius: int | None = None
) -> Searcher:
    return WAYS[name].among(Candidates(pool, radius)).searcher(database, quantizer, k=k)


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

    def spy(*arguments: Any, **options: Any) -> RadiusHits:
        hits = search_radius(*arguments, **options)
        held.append(len(hits.ids))
        return hits

    monkeypatch.setattr(HammingIndex, "search_radius", spy)
    monkeypatch.setattr(module, "_HITS", 2000)
    query, database = side(40, seed=4), side(300, seed=5)
    times(searcher("coarse_to_fine", database, QUANTIZER, pool=1, radius=BITS, k=10), query, timed=2)
    assert max(held) == 1800
    assert sum(held) == (1 + 2 + 40) * 300


@pytest.mark.parametrize("quantizer", [PRODUCT, BY_PRODUCT])
def test_coarse_to_fine_by_aqd_reranks_the_nearest_codes(quantizer: ProductQuantizer) -> None:
    database, query = (side(n, seed=seed, quantizer=PRODUCT) for n, seed in ((40, 10), (4, 11)))
    way = searcher("coarse_to_fine", database, quantizer, pool=6, k=6)
    coarse = main_way(quantizer).searcher(database, quantizer, k=6)
    found, pool = (each(query.embedding, query.features) for each in (way, coarse))
    assert np.array_equal(np.sort(found.ids), np.sort(pool.ids))
    assert (np.diff(found.distances) >= 0).all()
