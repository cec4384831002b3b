from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.errors import NotFittedError
from dqh.index import aqd
from dqh.index.aqd import AQDIndex, Distance
from dqh.index.coarse_to_fine import rerank
from dqh.index.faiss_export import index_pq
from dqh.index.lookup import item_norms
from dqh.index.tables import decoded_norms, query_tables, table_distances
from dqh.native import table_twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.device import torch_kernels
from dqh.native.extension import extension
from dqh.quantizers.product import ProductQuantizer
from dqh.ranking import Ranking

DISTANCES: tuple[Distance, ...] = ("l2", "ip", "cosine")


def normal(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def quantizer_of(subspaces: int, codewords: int, *, width: int = 3, rotated: bool = False) -> ProductQuantizer:
    dimension = subspaces * width
    rotation = np.linalg.qr(normal(dimension, dimension, seed=7))[0] if rotated else None
    return ProductQuantizer.from_codebooks(normal(subspaces, codewords, width, seed=8), rotation=rotation)


def index_of(quantizer: ProductQuantizer, codes: np.ndarray, **options) -> AQDIndex:
    index = AQDIndex(quantizer, **options)
    index.add(codes)
    return index


def to_decoded(queries: np.ndarray, decoded: np.ndarray, distance: Distance) -> np.ndarray:
    """(Q, N) float64 distances between vectors."""
    queries, decoded = queries.astype(np.float64), decoded.astype(np.float64)
    if distance == "l2":
        return np.square(queries[:, None] - decoded[None]).sum(axis=2)
    products = queries @ decoded.T
    if distance == "ip":
        return -products
    return 1 - products / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(decoded, axis=1)


def by_hand() -> ProductQuantizer:
    """Two subspaces of one dimension; codewords 0, 3 and 0, 4: decoded (0, 0), (3, 0), (0, 4), (3, 4)."""
    return ProductQuantizer.from_codebooks(np.array([[[0], [3]], [[0], [4]]], dtype=np.float32))


EVERY_CODE = np.array([[0b00], [0b01], [0b10], [0b11]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("distance", "symmetric", "ids", "distances"),
    [
        # (1, 2): 1 + 4 = 5, 4 + 4 = 8, 1 + 4 = 5, 4 + 4 = 8
        ("l2", False, [0, 2, 1, 3], [5, 5, 8, 8]),
        # 1·3 = 3, 2·4 = 8
        ("ip", False, [3, 2, 1, 0], [-11, -8, -3, 0]),
        # ‖(1, 2)‖ = √5: 1 − 3 / (3 √5), 1 − 8 / (4 √5), 1 − 11 / (5 √5); the code of zeros has no direction: 1
        ("cosine", False, [3, 2, 1, 0], [0.0161301, 0.1055728, 0.5527864, 1]),
        # (1, 2) is quantized to (0, 0), its second part a tie that the first codeword takes
        ("l2", True, [0, 1, 2, 3], [0, 9, 16, 25]),
        ("ip", True, [0, 1, 2, 3], [0, 0, 0, 0]),
        ("cosine", True, [0, 1, 2, 3], [1, 1, 1, 1]),
    ],
)
def test_search_by_hand(distance: Distance, symmetric: bool, ids: list[int], distances: list[float]) -> None:
    index = index_of(by_hand(), EVERY_CODE, distance=distance, symmetric=symmetric)
    found = index.search(np.array([[1, 2]], dtype=np.float32), 4)
    assert found.ids.tolist() == [ids]
    # the cosines are written with seven decimals
    assert np.allclose(found.distances, [distances], atol=1e-7)
    assert found.ids.dtype == np.int64
    assert found.distances.dtype == np.float32


def test_a_query_of_zeros_has_no_cosine() -> None:
    found = index_of(by_hand(), EVERY_CODE, distance="cosine").search(np.zeros((1, 2), np.float32), 4)
    assert found.ids.tolist() == [[0, 1, 2, 3]]
    assert found.distances.tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(("subspaces", "codewords"), [(1, 512), (4, 256), (3, 16), (5, 8)])
def test_distances_are_those_to_decoded_vectors(
    subspaces: int, codewords: int, distance: Distance, symmetric: bool, rotated: bool
) -> None:
    quantizer = quantizer_of(subspaces, codewords, rotated=rotated)
    vectors = normal(300, quantizer.dimension, seed=1)
    queries, codes = normal(9, quantizer.dimension, seed=2), quantizer.encode(vectors)
    found = index_of(quantizer, codes, distance=distance, symmetric=symmetric).search(queries, 300)
    sides = quantizer.decode(quantizer.encode(queries)) if symmetric else queries
    exact = to_decoded(sides, quantizer.decode(codes), distance)
    assert (np.sort(found.ids, axis=1) == np.arange(300)).all()
    # float32 sums of at most five numbers below 50; a float32 rotation there and back
    assert np.allclose(found.distances, np.take_along_axis(exact, found.ids, axis=1), atol=5e-5)
    assert (np.diff(found.distances, axis=1) >= 0).all()


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("queries", [1, 2, 70])
def test_exact_with_ties_by_id_over_chunks(distance: Distance, queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """900 items share 64 codes, so that every cut goes through a tie."""
    monkeypatch.setattr(aqd, "_CHUNK", 50)
    monkeypatch.setattr(aqd, "_FIRST_CHUNK", 5)
    quantizer = quantizer_of(3, 4)
    codes, query = quantizer.encode(normal(900, 9, seed=3)), normal(queries, 9, seed=4)
    indices = torch.from_numpy(quantizer.codewords_of(codes))
    norms = torch.from_numpy(item_norms(quantizer, indices.numpy())) if distance == "cosine" else None
    whole = table_distances(query_tables(quantizer, query, distance=distance), indices, norms=norms).numpy()
    order = np.argsort(whole, axis=1, kind="stable")
    index = index_of(quantizer, codes, distance=distance)
    for k in (1, 17, 300, 900, 950):
        found = index.search(query, k)
        count = min(k, 900)
        assert np.array_equal(found.ids[:, :count], order[:, :k])
        assert np.array_equal(found.distances[:, :count], np.take_along_axis(whole, order[:, :k], axis=1))
        assert (found.ids[:, count:] == -1).all()
        assert np.isinf(found.distances[:, count:]).all()


@given(st.integers(1, 12), st.sampled_from([2, 16, 256]), st.integers(1, 40), st.integers(0, 2**31))
def test_sums_ascend_and_are_the_same_for_any_batch(subspaces: int, codewords: int, queries: int, seed: int) -> None:
    """Bit for bit the plain float32 sum over m, at any alignment and however many queries and items there are."""
    generator = np.random.default_rng(seed)
    tables = (generator.standard_normal((queries, subspaces, codewords)) * 10.0 ** generator.integers(-4, 4)).astype(
        "f4"
    )
    indices = generator.integers(0, codewords, (29, subspaces))
    plain = np.zeros((queries, 29), dtype=np.float32)
    for m in range(subspaces):
        plain += tables[:, m][:, indices[:, m]]
    some = slice(queries // 3, queries // 3 + 1 + queries // 2)
    whole, rows = torch.from_numpy(tables), torch.from_numpy(indices)
    assert np.array_equal(table_distances(whole, rows), plain)
    assert np.array_equal(table_distances(whole[some], rows[7:].int()), plain[some, 7:])


@pytest.mark.parametrize(("distance", "symmetric"), [("l2", False), ("l2", True), ("ip", False), ("cosine", False)])
@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("kernels", [None, table_twins, extension() or table_twins])
def test_few_queries_of_16_codewords_are_answered_as_many_are(
    distance: Distance,
    symmetric: bool,
    rotated: bool,
    kernels: ModuleType | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By kernels, or without them: an odd number of subspaces, many items of one code, more added after a search."""
    monkeypatch.setattr(aqd, "extension", lambda: None)
    monkeypatch.setattr(aqd, "_FAST_ITEMS", 1000)
    quantizer = quantizer_of(5, 16, rotated=rotated)
    codes = quantizer.encode(np.round(normal(3000, 15, seed=9)))
    queries = normal(12, 15, seed=10)
    index = index_of(quantizer, codes[:1500], distance=distance, symmetric=symmetric)
    assert (index._fast_scan() is None) == (distance == "cosine")
    index.search(queries[:1], 3)
    index.add(codes[1500:])
    many = index.search(queries, 40)
    monkeypatch.setattr(aqd, "extension", lambda: kernels)
    for start, stop in ((0, 1), (1, 4), (5, 6)):
        few = index.search(queries[start:stop], 40)
        assert np.array_equal(few.ids, many.ids[start:stop])
        assert np.array_equal(few.distances, many.distances[start:stop])
    everything = index.search(queries[:1], 3000)
    assert np.array_equal(everything.ids[0, :40], many.ids[0])


@pytest.mark.parametrize(("codewords", "items"), [(8, 3000), (32, 3000), (16, 900)])
def test_other_codes_are_scanned_in_float32(codewords: int, items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aqd, "_FAST_ITEMS", 1000)
    quantizer = quantizer_of(5, codewords)
    assert index_of(quantizer, quantizer.encode(normal(items, 15, seed=11)))._fast_scan() is None


def test_one_query_sums_alike_however_many_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call for all subspaces, or one a subspace."""
    tables, indices = torch.from_numpy(normal(1, 9, 16, seed=12)), torch.arange(900).reshape(100, 9) * 7 % 16
    together = table_distances(tables, indices)
    monkeypatch.setattr(torch_kernels, "_GATHERED", 0)
    assert torch.equal(together, table_distances(tables, indices))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("codewords", "kernels"), [(16, None), (16, extension()), (256, extension()), (512, table_twins)]
)
@pytest.mark.parametrize("share", [None, 0.0, 0.01, 0.5])
def test_filters_and_radii_are_parts_of_the_whole_ranking(
    distance: Distance,
    codewords: int,
    kernels: ModuleType | None,
    share: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With kernels and without; more codewords than they take."""
    monkeypatch.setattr(aqd, "extension", lambda: kernels)
    quantizer = quantizer_of(3, codewords)
    codes, queries = quantizer.encode(np.round(normal(2500, 9, seed=13), 1)), normal(70, 9, seed=14)
    index = index_of(quantizer, codes, distance=distance)
    chosen = np.random.default_rng(15).random(2500) < (1 if share is None else share)
    allowed = None if share is None else bitmap_of(chosen)
    whole, found = index.search(queries, 2500), index.search(queries, 30, allowed=allowed)
    radius = float(whole.distances[2, 60])
    hits = index.search_radius(queries, radius, allowed=allowed)
    if allowed is not None:
        strided = np.repeat(allowed, 2)[::2]
        assert np.array_equal(index.search(queries, 30, allowed=strided).ids, found.ids)
        assert np.array_equal(index.search_radius(queries, radius, allowed=strided).ids, hits.ids)
    for q in range(70):
        of_filter = chosen[whole.ids[q]]
        ids, distances = whole.ids[q][of_filter], whole.distances[q][of_filter]
        missing = max(0, 30 - len(ids))
        assert found.ids[q].tolist() == ids[:30].tolist() + [-1] * missing
        assert found.distances[q].tolist() == distances[:30].tolist() + [np.inf] * missing
        own, inside = slice(hits.offsets[q], hits.offsets[q + 1]), distances <= np.float32(radius)
        assert hits.ids[own].tolist() == ids[inside].tolist()
        assert hits.distances[own].tolist() == distances[inside].tolist()


def test_equal_codes_have_equal_distances() -> None:
    quantizer = quantizer_of(4, 256, rotated=True)
    codes = np.tile(quantizer.encode(normal(3, 12, seed=5)), (40, 1))
    for distance in DISTANCES:
        found = index_of(quantizer, codes, distance=distance).search(normal(6, 12, seed=6), 120)
        assert [len(set(row)) for row in found.distances.tolist()] == [3] * 6
        assert (np.diff(found.ids.reshape(6, 3, 40), axis=2) == 3).all()


@pytest.mark.parametrize("distance", DISTANCES)
def test_adding_in_two_batches_equals_adding_once(distance: Distance) -> None:
    quantizer = quantizer_of(4, 16)
    codes, query = quantizer.encode(normal(200, 12, seed=9)), normal(5, 12, seed=10)
    halves = index_of(quantizer, codes[:80], distance=distance)
    halves.search(query, 3)
    halves.add(codes[80:])
    assert len(halves) == 200
    for one, other in zip(
        halves.search(query, 50), index_of(quantizer, codes, distance=distance).search(query, 50), strict=True
    ):
        assert np.array_equal(one, other)


def test_norms_are_those_of_decoded_vectors() -> None:
    quantizer = quantizer_of(4, 16, rotated=True)
    codes = quantizer.encode(normal(50, 12, seed=11))
    found = decoded_norms(quantizer, torch.from_numpy(quantizer.codewords_of(codes)))
    plain = item_norms(quantizer, quantizer.codewords_of(codes))
    assert plain.dtype == np.float32
    assert np.allclose(found, plain, rtol=2**-23)  # a last digit
    # float32, rotated there and back
    assert np.allclose(found, np.linalg.norm(quantizer.decode(codes), axis=1), rtol=1e-5)


def test_more_codewords_than_a_byte_counts() -> None:
    """K = 65,536 needs the whole 16 bits: the last codeword is found by itself."""
    quantizer = ProductQuantizer.from_codebooks(np.arange(2**16, dtype=np.float32).reshape(1, -1, 1))
    codes = quantizer.encode(np.array([[0], [65_535], [61_438], [44]], dtype=np.float32))
    found = index_of(quantizer, codes).search(np.array([[65_534], [45]], dtype=np.float32), 2)
    assert found.ids.tolist() == [[1, 2], [3, 0]]
    assert found.distances.tolist() == [[1, 4096**2], [1, 45**2]]


def test_rerank_composes() -> None:
    quantizer = quantizer_of(4, 16)
    vectors = normal(100, 12, seed=12)
    coarse = index_of(quantizer, quantizer.encode(vectors)).search(vectors[:6], 30)
    fine = rerank(coarse, vectors[:6], database_features=vectors, k=1)
    assert fine.ids.ravel().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("symmetric", [False, True])
def test_no_query_has_no_answer(symmetric: bool) -> None:
    found = index_of(by_hand(), EVERY_CODE, symmetric=symmetric).search(np.zeros((0, 2), np.float32), 3)
    assert isinstance(found, Ranking)
    assert found.ids.shape == found.distances.shape == (0, 3)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_search_that_begins_while_another_joins_what_was_added(
    distance: Distance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole search by another thread, where the first one has joined codewords or norms and not yet the others."""
    quantizer, queries = quantizer_of(4, 16), normal(3, 12, seed=15)
    codes = quantizer.encode(normal(60, 12, seed=16))
    wanted = index_of(quantizer, codes, distance=distance).search(queries, 5)
    index, join, others = index_of(quantizer, codes, distance=distance), np.concatenate, []

    def joined(parts: list[np.ndarray], axis: int = 0) -> np.ndarray:
        whole = join(parts, axis=axis)
        if not others and parts[0].ndim == 1:
            others.append(None)
            others[0] = index.search(queries, 5)
        return whole

    monkeypatch.setattr(np, "concatenate", joined)
    first = index.search(queries, 5)
    for found in (first, *others):
        assert np.array_equal(found.ids, wanted.ids)
        assert np.array_equal(found.distances, wanted.distances)
    assert len(others) == 1


def test_inputs_are_not_modified() -> None:
    quantizer = quantizer_of(4, 16)
    codes, query = quantizer.encode(normal(50, 12, seed=13)), normal(4, 12, seed=14)
    codes.flags.writeable = query.flags.writeable = False
    for distance in DISTANCES:
        index_of(quantizer, codes, distance=distance).search(query, 3)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        AQDIndex(ProductQuantizer(2, 4))
    with pytest.raises(NotFittedError, match=r"AQDIndex is empty; call add\(codes\) first"):
        AQDIndex(by_hand()).search(np.zeros((1, 5), np.float32), 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda index: index.search(np.zeros((1, 2), np.float32), 0),
            "k must be a whole number from 1 to 1,048,576, got 0",
        ),
        (lambda index: index.search(np.zeros((1, 3), np.float32), 1), r"shape \(N, 2\), got \(1, 3\)"),
        (lambda index: index.search(np.full((1, 2), np.nan, np.float32), 1), "NaN"),
        (lambda index: index.search(np.full((1, 2), 1e30, np.float32), 1), "within float32, got inf"),
        (
            lambda index: index.search_radius(np.zeros((1, 2), np.float32), float("nan")),
            "radius must be a number, got nan",
        ),
        (lambda index: index.search(np.zeros((1, 2), np.float32), 1, allowed=np.zeros(2, np.uint8)), "allowed must be"),
        (lambda index: index.add(np.zeros((1, 2), np.uint8)), r"shape \(N, 1\), got uint8 of shape \(1, 2\)"),
        (lambda index: index.add(np.zeros((1, 1), np.int64)), "got int64"),
        (lambda index: index.add(np.array([[3], [4]], np.uint8)), "zeros after bit 2, row 1 has not"),
        (lambda index: AQDIndex(index.quantizer, distance="l1"), "distance must be one of l2, ip, cosine, got 'l1'"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(index_of(by_hand(), EVERY_CODE))


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_codes_are_searched_by_the_distance_of_their_quantizer(distance: Distance) -> None:
    quantizer = ProductQuantizer.from_codebooks(normal(4, 8, 3, seed=8), distance=distance)
    codes, queries = quantizer.encode(normal(50, 12, seed=9)), normal(5, 12, seed=10)
    found, wanted = index_of(quantizer, codes), index_of(quantizer, codes, distance=distance)
    assert found.distance == distance
    assert np.array_equal(found.search(queries, 50).ids, wanted.search(queries, 50).ids)
    ids = index_pq(quantizer, codes).search(queries, 1)[1]
    assert np.array_equal(ids[:, 0], wanted.search(queries, 1).ids[:, 0])


@pytest.mark.parametrize("distance", ["l2", "cosine"])
def test_items_that_come_after_a_search(distance: str) -> None:
    """Those of before lie in the kernels' form alone by then."""
    generator = np.random.default_rng(0)
    quantizer = ProductQuantizer.from_codebooks(generator.standard_normal((4, 16, 3)).astype(np.float32))
    codes, query = quantizer.sample(2500, generator), generator.standard_normal((2, 12)).astype(np.float32)
    parts, whole = AQDIndex(quantizer, distance=distance), AQDIndex(quantizer, distance=distance)
    whole.add(codes)
    for start in (0, 900, 1100):
        parts.add(codes[start : {0: 900, 900: 1100, 1100: 2500}[start]])
        assert parts.search(query, 5).ids.max() < len(parts)
    assert len(parts) == 2500
    for one, other in zip(parts.search(query, 300), whole.search(query, 300), strict=True):
        assert np.array_equal(one, other)
