from typing import Any

import numpy as np
import pytest

from dqh.evaluation import searches as module
from dqh.evaluation.searches import SEARCHES, Side, require_rows, searchers, times
from dqh.index import HammingIndex, RadiusHits, exhaustive
from dqh.quantizers.threshold import Threshold
from dqh.ranking import Ranking

BITS = 20
QUANTIZER = Threshold(BITS)


def side(count: int, *, seed: int) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, BITS), dtype=np.float32)
    features = generator.standard_normal((count, 6), dtype=np.float32)
    return Side(QUANTIZER.encode(embedding), embedding, features, np.zeros(count, np.int64))


def coarse_to_fine(query: Side, database: Side, *, pool: int = 1000, radius: int | None = None) -> Ranking:
    ways = searchers(database, QUANTIZER, pool=pool, radius=radius, k=95)
    return ways["coarse_to_fine"](query.embedding, query.features)


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
    ways = searchers(database, QUANTIZER, pool=1, radius=BITS, k=10)
    times(ways["coarse_to_fine"], query, timed=2)
    assert max(held) == 1800
    assert sum(held) == (1 + 2 + 40) * 300


@pytest.mark.parametrize("search", SEARCHES)
def test_times_of_each_search(search: str) -> None:
    found = times(searchers(side(50, seed=6), QUANTIZER, pool=9, radius=None, k=5)[search], side(3, seed=7), timed=9)
    assert set(found) == {"query_ms", "qps"}
    assert all(value > 0 for value in found.values())


def test_sides_that_do_not_fit() -> None:
    query, database = side(3, seed=0), side(4, seed=1)
    require_rows(query, database._replace(embedding=query.embedding))
    with pytest.raises(ValueError, match=r"features of the database .* 4 codes, got 3\n.* got \(3, 6\) and \(3, 5\)"):
        require_rows(query, database._replace(features=np.zeros((3, 5), np.float32)))
