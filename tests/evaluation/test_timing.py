import numpy as np
import pytest

from dqh.evaluation.timing import times
from dqh.index.ways import Candidates, ways_of
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking.side import Side

QUANTIZER = Threshold(20)
PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).random((4, 8, 5), dtype=np.float32))


def side(count: int, *, seed: int, quantizer: Quantizer) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, 20), dtype=np.float32)
    return Side(quantizer.encode(embedding), embedding, embedding[:, :6], np.zeros(count, np.int64))


@pytest.mark.parametrize("quantizer", [QUANTIZER, PRODUCT])
def test_times_of_each_way(quantizer: Quantizer) -> None:
    database, query = (side(n, seed=seed, quantizer=quantizer) for n, seed in ((50, 6), (3, 7)))
    for way in ways_of(quantizer):
        found = times(way.among(Candidates(9)).searcher(database, quantizer, k=5), query, timed=9)
        assert set(found) == {"query_ms", "qps"}
        assert all(value > 0 for value in found.values())
