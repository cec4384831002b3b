import numpy as np
import pytest

from dqh.index.aqd import AQDIndex
from dqh.index.ways import WAYS, way_by_codes, ways_of
from dqh.quantizers import ProductQuantizer
from dqh.ranking.side import Side

VECTORS = np.random.default_rng(0).standard_normal((3000, 20)).astype(np.float32)
CODEBOOKS = np.random.default_rng(0).random((4, 8, 5), dtype=np.float32)
PRODUCT, BY_PRODUCT = (ProductQuantizer.from_codebooks(CODEBOOKS, distance=distance) for distance in ("l2", "ip"))
NAMES = [way.name for way in ways_of(PRODUCT)]


def side(count: int, *, seed: int) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, 20), dtype=np.float32)
    features = generator.standard_normal((count, 6), dtype=np.float32)
    return Side(PRODUCT.encode(embedding), embedding, features, np.zeros(count, np.int64))


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


@pytest.mark.parametrize("search", [*NAMES[:7], "sqd_ip"])
def test_product_quantized_searches_equal_loops(search: str) -> None:
    quantizer = BY_PRODUCT if search == "sqd_ip" else PRODUCT
    database, query = (side(n, seed=seed) for n, seed in ((40, 8), (4, 9)))
    database.embedding[7], query.embedding[1] = 0, 0
    way = WAYS[search]
    assert way.fits(quantizer)
    found = way.searcher(database, quantizer, k=45)(query.embedding, query.features)
    wanted = loops(search, query._replace(codes=PRODUCT.encode(query.embedding)), database)
    assert np.array_equal(found.ids[:, 40:], np.full((4, 5), -1))
    for ids, distances, own in zip(found.ids[:, :40], found.distances, wanted, strict=True):
        assert np.array_equal(np.sort(ids), np.arange(40))
        # float32 sums and products of 20 numbers below 1
        assert np.allclose(distances[:40], own[ids], rtol=1e-5, atol=1e-5)
        assert np.allclose(own[ids], np.sort(own), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["aqd_l2", "aqd_ip", "aqd_cosine", "sqd_l2"])
def test_what_lies_within_a_radius_is_a_prefix_of_the_ranking(name: str) -> None:
    """Several queries are padded to the longest list."""
    codes, way = PRODUCT.encode(VECTORS), way_by_codes(PRODUCT, name)
    index = AQDIndex(PRODUCT, distance=way.distance, symmetric=name.startswith("sqd"))
    index.add(codes)
    exact, queries = way.index(PRODUCT, codes), VECTORS[:5] + 0.1
    whole, found = index.search(queries, 3000), exact.search(queries, 3000)
    assert np.array_equal(whole.ids, found.ids)
    assert np.array_equal(whole.distances, found.distances)
    radius = float(whole.distances[2, 30])
    near = exact.within(queries, radius)
    counts = (whole.distances <= radius).sum(1)
    assert near.ids.shape == (5, counts.max())
    for q, count in enumerate(counts):
        assert near.ids[q, :count].tolist() == whole.ids[q, :count].tolist()
        assert near.distances[q, :count].tolist() == whole.distances[q, :count].tolist()
        assert (near.ids[q, count:] == -1).all()
        assert np.isinf(near.distances[q, count:]).all()
    assert exact.within(queries[:1], float("inf")).ids.shape == (1, 3000)


def test_nothing_to_search() -> None:
    exact = way_by_codes(PRODUCT).index(PRODUCT, PRODUCT.encode(VECTORS[:0]))
    assert exact.search(VECTORS[:4], 3).ids.tolist() == [[-1] * 3] * 4
    assert exact.within(VECTORS[:1], 5).ids.shape == (1, 0)
