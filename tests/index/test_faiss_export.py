import faiss
import numpy as np
import pytest

from dqh.index.aqd import AQDIndex
from dqh.index.faiss_export import index_ivfpq, index_pq
from dqh.quantizers.product import ProductQuantizer

# faiss computes a table entry in float32 and adds in another order: each of up to 8 entries and 7 sums, all below 100,
# is off by at most half a unit in the last place, 2^-24 relative.
TOLERANCE = 15 * 100 * 2**-24


def fitted(subspaces: int, codewords: int, *, rotated: bool, seed: int = 0) -> ProductQuantizer:
    dimension = 6 * subspaces
    generator = np.random.default_rng(seed)
    rotation = np.linalg.qr(generator.standard_normal((dimension, dimension)))[0] if rotated else None
    return ProductQuantizer.from_codebooks(generator.standard_normal((subspaces, codewords, 6)), rotation=rotation)


def vectors(count: int, quantizer: ProductQuantizer, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, quantizer.dimension)).astype(np.float32)


def assert_same_ranking(index: faiss.Index, own: AQDIndex, queries: np.ndarray) -> None:
    """All items in the same order, but for items whose distances differ by rounding alone."""
    wanted = own.search(queries, len(own))
    found, ids = index.search(queries, len(own))
    sign = -1 if own.distance == "ip" else 1
    assert (np.sort(ids, axis=1) == np.arange(len(own))).all()
    assert np.abs(sign * found - wanted.distances).max() <= TOLERANCE
    distance_of = np.empty_like(wanted.distances)
    np.put_along_axis(distance_of, wanted.ids, wanted.distances, axis=1)
    # what faiss puts at a rank is as far away, by our distances, as what we put there
    assert np.abs(np.take_along_axis(distance_of, ids, axis=1) - wanted.distances).max() <= 2 * TOLERANCE
    assert len(np.unique(wanted.distances[0])) >= min(100, own.codewords**own.subspaces)  # not one tie


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize(("subspaces", "codewords"), [(8, 16), (3, 16), (4, 64), (4, 256), (1, 256)])
def test_same_ranking(subspaces: int, codewords: int, distance: str, rotated: bool) -> None:
    quantizer = fitted(subspaces, codewords, rotated=rotated)
    codes, queries = quantizer.encode(vectors(400, quantizer, seed=1)), vectors(20, quantizer, seed=2)
    own = AQDIndex(quantizer, distance=distance)
    own.add(codes)
    assert_same_ranking(index_pq(quantizer, codes, distance=distance), own, queries)
    assert_same_ranking(index_ivfpq(quantizer, codes, lists=7, distance=distance), own, queries)


@pytest.mark.parametrize("lists", [1, 300])
def test_any_number_of_lists(lists: int) -> None:
    """300 lists need two bytes before each code."""
    quantizer = fitted(4, 16, rotated=True)
    codes, queries = quantizer.encode(vectors(600, quantizer, seed=3)), vectors(5, quantizer, seed=4)
    own = AQDIndex(quantizer)
    own.add(codes)
    assert_same_ranking(index_ivfpq(quantizer, codes, lists=lists), own, queries)


@pytest.mark.parametrize("codewords", [2, 1024])
def test_codes_of_other_widths(codewords: int) -> None:
    quantizer = fitted(3, codewords, rotated=False)
    codes, queries = quantizer.encode(vectors(300, quantizer, seed=5)), vectors(5, quantizer, seed=6)
    own = AQDIndex(quantizer)
    own.add(codes)
    assert_same_ranking(index_pq(quantizer, codes), own, queries)


def test_faiss_decodes_and_encodes_alike() -> None:
    quantizer = fitted(4, 64, rotated=True)
    items = vectors(50, quantizer, seed=7)
    index = index_pq(quantizer, quantizer.encode(items))
    assert np.array_equal(index.sa_encode(items), quantizer.encode(items))
    # one float32 rotation of 24 numbers
    assert np.allclose(index.reconstruct_n(0, 50), quantizer.decode(quantizer.encode(items)), atol=1e-5)


def test_symmetric_distances_are_those_of_faiss() -> None:
    quantizer = fitted(4, 256, rotated=False)  # K = 256 is all that faiss has symmetric tables for
    codes, queries = quantizer.encode(vectors(200, quantizer, seed=8)), vectors(5, quantizer, seed=9)
    own = AQDIndex(quantizer, symmetric=True)
    own.add(codes)
    index = index_pq(quantizer, codes)
    index.search_type = faiss.IndexPQ.ST_SDC
    index.pq.compute_sdc_table()
    assert_same_ranking(index, own, queries)


def test_a_smaller_nprobe_sees_fewer() -> None:
    quantizer = fitted(4, 16, rotated=True)
    codes = quantizer.encode(vectors(300, quantizer, seed=10))
    index = index_ivfpq(quantizer, codes, lists=10)
    faiss.extract_index_ivf(index).nprobe = 1
    _, ids = index.search(vectors(3, quantizer, seed=11), 300)
    assert (ids == -1).any(axis=1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pq, codes: index_pq(pq, codes, distance="cosine"), "distance must be one of l2, ip, got 'cosine'"),
        (lambda pq, codes: index_pq(pq, codes[:, :1]), r"codes of 16 bits must be uint8 of shape \(N, 2\)"),
        (lambda pq, codes: index_ivfpq(pq, codes, lists=5), "lists must be from 1 to the number of codes, 4, got 5"),
    ],
)
def test_errors(call, message: str) -> None:
    quantizer = fitted(4, 16, rotated=False)
    with pytest.raises(ValueError, match=message):
        call(quantizer, quantizer.encode(vectors(4, quantizer, seed=12)))
