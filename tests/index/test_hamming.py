from types import ModuleType

import numpy as np
import pytest

from dqh.codes import hamming, pack
from dqh.errors import NotFittedError
from dqh.index import bit_scans
from dqh.index.hamming import HammingIndex
from dqh.native import twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.extension import extension
from dqh.quantizers.threshold import Threshold


def random_bits(count: int, bits: int, *, seed: int, noise: float = 0.2) -> np.ndarray:
    """Bits around three centres, so that many distances are equal."""
    generator = np.random.default_rng(seed)
    centres = generator.random((3, bits)) < 0.5
    return centres[generator.integers(0, 3, count)] ^ (generator.random((count, bits)) < noise)


def sorted_by_distance_and_id(queries: np.ndarray, database: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = hamming(pack(queries), pack(database))
    ids = np.argsort(distances, axis=1, kind="stable")
    return ids, np.take_along_axis(distances, ids, axis=1)


def index_of(database: np.ndarray) -> HammingIndex:
    index = HammingIndex(Threshold(database.shape[1]))
    index.add(pack(database))
    return index


def test_search_by_hand() -> None:
    """Query 110; the codes 000, 111, 110, 100 are 2, 1, 0 and 1 bits away: 2 first, then the tie 1 before 3."""
    database = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=bool)
    found = index_of(database).search(np.array([[0.9, 0.8, 0.1]], dtype=np.float32), 3)
    assert found.ids.tolist() == [[2, 1, 3]]
    assert found.distances.tolist() == [[0, 1, 1]]
    assert found.ids.dtype == np.int64
    assert found.distances.dtype == np.float32


@pytest.mark.parametrize("bits", [1, 7, 8, 12, 48, 64, 100, 128, 256])
@pytest.mark.parametrize("queries", [1, 40])
def test_search_equals_brute_force_with_ties_by_id(bits: int, queries: int) -> None:
    database, query = random_bits(500, bits, seed=bits), random_bits(queries, bits, seed=bits + 1)
    ids, distances = sorted_by_distance_and_id(query, database)
    for k in (1, 10, 137, 500):
        found = index_of(database).search(query.astype(np.float32), k)
        assert np.array_equal(found.ids, ids[:, :k])
        assert np.array_equal(found.distances, distances[:, :k])


def test_answers_beyond_the_size_are_padded() -> None:
    database = random_bits(3, 16, seed=0)
    found = index_of(database).search(database.astype(np.float32), 5)
    assert (found.ids[:, 3:] == -1).all()
    assert np.isinf(found.distances[:, 3:]).all()
    assert (np.sort(found.ids[:, :3], axis=1) == [0, 1, 2]).all()


def test_adding_in_two_batches_equals_adding_once() -> None:
    database, query = random_bits(300, 20, seed=2), random_bits(9, 20, seed=3).astype(np.float32)
    halves = HammingIndex(Threshold(20))
    halves.add(pack(database[:120]))
    halves.add(pack(database[120:]))
    assert len(halves) == 300
    for one, other in zip(halves.search(query, 50), index_of(database).search(query, 50), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("radius", [0, 3, 6, 20])
def test_radius_equals_brute_force(radius: int) -> None:
    database, query = random_bits(400, 20, seed=4), random_bits(30, 20, seed=5)
    ids, distances = sorted_by_distance_and_id(query, database)
    hits = index_of(database).search_radius(query.astype(np.float32), radius)
    for q in range(len(query)):
        row = slice(hits.offsets[q], hits.offsets[q + 1])
        inside = distances[q] <= radius
        assert np.array_equal(hits.ids[row], ids[q][inside])
        assert np.array_equal(hits.distances[row], distances[q][inside])


@pytest.mark.parametrize("kernels", [extension() or twins, None])
@pytest.mark.parametrize(("radius", "bits"), [(2.5, 2), (np.int64(3), 3), (2**31, 20), (np.inf, 20)])
def test_a_radius_may_be_any_number(
    radius: float, bits: int, kernels: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bit_scans, "extension", lambda: kernels)
    database, query = random_bits(200, 20, seed=13), random_bits(3, 20, seed=14).astype(np.float32)
    index = index_of(database)
    for one, other in zip(index.search_radius(query, radius), index.search_radius(query, bits), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5])
def test_filters_leave_out_all_other_items(share: float) -> None:
    database, query = random_bits(400, 20, seed=7), random_bits(30, 20, seed=8)
    chosen = np.random.default_rng(9).random(400) < share
    ids, distances = sorted_by_distance_and_id(query, database)
    index, vectors = index_of(database), query.astype(np.float32)
    found = index.search(vectors, 25, allowed=bitmap_of(chosen))
    hits = index.search_radius(vectors, 7, allowed=bitmap_of(chosen))
    for q in range(len(query)):
        of_filter = chosen[ids[q]]
        own, own_distances = ids[q][of_filter], distances[q][of_filter]
        missing = max(0, 25 - len(own))
        assert found.ids[q].tolist() == own[:25].tolist() + [-1] * missing
        assert found.distances[q].tolist() == own_distances[:25].tolist() + [np.inf] * missing
        row = slice(hits.offsets[q], hits.offsets[q + 1])
        assert hits.ids[row].tolist() == own[own_distances <= 7].tolist()
    strided = np.repeat(bitmap_of(chosen), 2)[::2]
    assert np.array_equal(index.search(vectors, 25, allowed=strided).ids, found.ids)
    assert np.array_equal(index.search_radius(vectors, 7, allowed=strided).ids, hits.ids)
    with pytest.raises(ValueError, match=r"allowed must be uint8 of shape \(50,\), a bit for each of 400 rows"):
        index.search(vectors, 3, allowed=np.zeros(51, np.uint8))


def test_inputs_are_not_modified() -> None:
    codes = pack(random_bits(50, 12, seed=6))
    codes.flags.writeable = False
    index = HammingIndex(Threshold(12))
    index.add(codes)
    query = np.zeros((2, 12), dtype=np.float32)
    query.flags.writeable = False
    index.search(query, 3)


def test_an_empty_index_says_what_to_call() -> None:
    index = HammingIndex(Threshold(8))
    with pytest.raises(NotFittedError, match=r"HammingIndex is empty; call add\(codes\) first"):
        index.search(np.zeros((1, 5), dtype=np.float32), 1)
    with pytest.raises(NotFittedError, match="empty"):
        index.search_radius(np.zeros((1, 5), dtype=np.float32), 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda index: index.search(np.zeros((1, 12), np.float32), 0),
            "k must be a whole number from 1 to 1,048,576, got 0",
        ),
        (
            lambda index: index.search_radius(np.zeros((1, 12), np.float32), -1),
            "radius must be at least 0 bits, got -1",
        ),
        (
            lambda index: index.search_radius(np.zeros((1, 12), np.float32), float("nan")),
            "radius must be at least 0 bits, got nan",
        ),
        (lambda index: index.search(np.zeros((1, 8), np.float32), 1), r"shape \(N, 12\), got \(1, 8\)"),
        (lambda index: index.add(np.zeros((1, 1), np.uint8)), r"shape \(N, 2\), got uint8 of shape \(1, 1\)"),
        (lambda index: index.add(np.zeros((1, 2), np.int64)), "got int64"),
        (lambda index: index.add(np.array([[0, 0], [255, 16]], np.uint8)), "zeros after bit 12, row 1 has not"),
    ],
)
def test_errors(call, message: str) -> None:
    index = index_of(np.zeros((2, 12), dtype=bool))
    with pytest.raises(ValueError, match=message):
        call(index)
