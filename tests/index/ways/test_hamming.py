import numpy as np

from dqh.index.hamming import HammingIndex
from dqh.index.ways import main_way
from dqh.quantizers import Threshold

VECTORS = np.random.default_rng(0).standard_normal((3000, 16)).astype(np.float32)
QUANTIZER = Threshold(16, threshold=0.0)


def test_the_exact_engine_is_the_index_in_memory() -> None:
    """What lies within a radius is a prefix of the whole ranking."""
    codes = QUANTIZER.encode(VECTORS)
    index, exact = HammingIndex(QUANTIZER), main_way(QUANTIZER).index(QUANTIZER, codes)
    index.add(codes)
    whole, found = index.search(VECTORS[:5], 3000), exact.search(VECTORS[:5], 3000)
    assert exact.name == "hamming"
    assert np.array_equal(whole.ids, found.ids)
    assert np.array_equal(whole.distances, found.distances)
    near, counts = exact.within(VECTORS[:5], 3), (whole.distances <= 3).sum(1)
    for q, count in enumerate(counts):
        assert near.ids[q, :count].tolist() == whole.ids[q, :count].tolist()
        assert near.distances[q, :count].tolist() == whole.distances[q, :count].tolist()
    assert exact.within(VECTORS[:1], float("inf")).ids.shape == (1, 3000)


def test_nothing_to_search() -> None:
    exact = main_way(QUANTIZER).index(QUANTIZER, QUANTIZER.encode(VECTORS[:0]))
    assert exact.search(VECTORS[:4], 3).ids.tolist() == [[-1] * 3] * 4
    assert exact.within(VECTORS[:1], 5).ids.shape == (1, 0)
