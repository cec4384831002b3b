import faiss
import numpy as np
import pytest

from dqh.codes import hamming, pack
from dqh.index.aqd import AQDIndex
from dqh.index.faiss_export import (
    empty_binary_flat,
    empty_binary_ivf,
    empty_ivfpq,
    empty_latent,
    index_ivfpq,
    index_pq,
)
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


def through_a_file(index: faiss.Index) -> faiss.Index:
    return faiss.deserialize_index(faiss.serialize_index(index))


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_an_empty_index_out_of_a_file_fills_up_with_embeddings(distance: str) -> None:
    """Codebooks, rotation and lists of a sample; the items are others, and come as embeddings."""
    quantizer = fitted(4, 64, rotated=True)
    items, queries = vectors(400, quantizer, seed=13), vectors(5, quantizer, seed=14)
    own = AQDIndex(quantizer, distance=distance)
    own.add(quantizer.encode(items))
    sample = quantizer.encode(vectors(100, quantizer, seed=15))
    for empty in (
        index_pq(quantizer, sample[:0], distance=distance),
        empty_ivfpq(quantizer, sample, lists=7, distance=distance),
    ):
        index = through_a_file(empty)
        assert (index.ntotal, index.is_trained) == (0, True)
        index.add(items)
        assert_same_ranking(index, own, queries)


@pytest.mark.parametrize("bits", [12, 64])
def test_binary_indexes_out_of_a_file_rank_by_hamming_distance(bits: int) -> None:
    generator = np.random.default_rng(0)
    sample, items, queries = (pack(generator.random((count, bits)) < 0.5) for count in (100, 300, 4))
    wanted = np.sort(hamming(queries, items), axis=1)
    for empty in (empty_binary_flat(bits), empty_binary_ivf(bits, sample, lists=9)):
        index = faiss.deserialize_index_binary(faiss.serialize_index_binary(empty))
        assert (index.ntotal, index.is_trained) == (0, True)
        index.add(items)
        distances, ids = index.search(queries, 300)
        assert np.array_equal(distances, wanted)
        assert np.array_equal(np.take_along_axis(hamming(queries, items), ids, axis=1), wanted)


def test_a_latent_layer_gives_its_bits_and_ranks_the_pool_by_features() -> None:
    """W x + b ≥ 0 in float64 as the reference; of 60 items 20 of the nearest by bits are ranked by L2."""
    generator = np.random.default_rng(0)
    weight, bias = generator.standard_normal((16, 8)).astype(np.float32), np.full(16, 0.1, np.float32)
    items, query = (generator.standard_normal((count, 8)).astype(np.float32) for count in (60, 1))
    wanted = items.astype(np.float64) @ weight.T.astype(np.float64) + bias
    assert np.abs(wanted).min() > 1e-5  # no bit hangs on rounding
    index = through_a_file(empty_latent(weight, bias, pool_factor=5))
    index.add(items)
    layer = faiss.downcast_index(index.base_index)
    assert np.array_equal(layer.sa_encode(items), pack(wanted >= 0))
    found, ids = index.search(query, 4)
    _, pool = layer.search(query, 20)
    squared = ((items - query) ** 2).sum(1)
    nearest = pool[0][np.argsort(squared[pool[0]])][:4]
    assert index.k_factor == 5
    assert np.array_equal(ids[0], nearest)
    assert np.allclose(found[0], squared[nearest], rtol=1e-5)  # float32 sums of 8 squares
    distances = hamming(pack(query @ weight.T + bias >= 0), pack(wanted >= 0))[0]
    assert distances[pool[0]].max() == np.sort(distances)[19]
