"""Indexes of float vectors: against a scan, and what they count against what they hold."""

import faiss
import numpy as np
import pytest

from dqh.index.vector_indexes import InvertedCodes, InvertedFile, VectorGraph

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.standard_normal((300, 8)).astype(np.float32)
QUERIES = GENERATOR.standard_normal((11, 8)).astype(np.float32)


def nearest(k: int) -> np.ndarray:
    apart = np.square(QUERIES[:, None].astype(np.float64) - VECTORS[None]).sum(2)
    return np.argsort(apart, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("make", [lambda: InvertedFile(VECTORS, lists=17), lambda: VectorGraph(VECTORS)])
def test_at_most_effort_they_find_what_a_scan_finds(make) -> None:
    index = make()
    index.set_effort(index.most_effort)
    ranking = index.search(QUERIES, 5)
    np.testing.assert_array_equal(ranking.ids, nearest(5))
    apart = np.square(QUERIES[:, None] - VECTORS[ranking.ids]).sum(2)
    np.testing.assert_allclose(ranking.distances, apart, rtol=1e-5)  # float32, summed in another order


@pytest.mark.parametrize("probes", [1, 4, 17])
@pytest.mark.parametrize(
    "make", [InvertedFile, lambda *args, **more: InvertedCodes(*args, **more, subspaces=4, codewords=16)]
)
def test_lists_count_their_centres_and_what_is_in_the_lists_looked_into(make, probes: int) -> None:
    index = make(VECTORS, lists=17)
    index.set_effort(probes)
    lists = index.index.invlists
    sizes = np.array([lists.list_size(number) for number in range(17)])
    _, looked_into = index.index.quantizer.search(QUERIES, probes)
    inside = sizes[looked_into].sum(1).mean()
    work = index.work(QUERIES, 3)
    wanted = (17 + inside, 0) if index.name == "ivf_flat" else (17, inside)
    assert work == pytest.approx(wanted)
    assert index.work(QUERIES, 3) == work  # counted anew, not added up


def test_a_graph_counts_more_the_broader_it_looks_and_at_most_every_vector_a_level() -> None:
    index = VectorGraph(VECTORS)
    counts = []
    for breadth in (1, 10, 300):
        index.set_effort(breadth)
        counts.append(index.work(QUERIES, 1).vectors)
    assert counts == sorted(counts)
    assert counts[0] < 150 < counts[2]  # a part of the vectors, and nearly all
    assert 300 <= counts[2] + 1 <= 2 * 300


def test_bytes_are_those_that_faiss_writes() -> None:
    """Up to a header, and faiss's own copy of what both have."""
    flat, codes, graph = (
        InvertedFile(VECTORS, lists=17),
        InvertedCodes(VECTORS, lists=17, subspaces=4, codewords=16),
        VectorGraph(VECTORS),
    )
    for index in (flat, codes, graph):
        wanted = 300 * index.item_bytes + index.shared_bytes
        tables = getattr(index.index, "precomputed_table", None)
        if tables is not None:
            wanted -= faiss.vector_to_array(tables).nbytes  # made anew when it is read
        assert faiss.serialize_index(index.index).nbytes == pytest.approx(wanted, abs=1000)
    assert (flat.item_bytes, codes.item_bytes) == (4 * 8 + 8, 2 + 8)


def test_missing_answers_are_padded() -> None:
    index = InvertedFile(VECTORS[:20], lists=10)
    index.set_effort(1)
    ranking = index.search(QUERIES, 30)
    assert ranking.ids.shape == (11, 30)
    assert ((ranking.ids < 0) == np.isinf(ranking.distances)).all()
    assert (ranking.ids[:, -1] == -1).all()


def test_seeds_decide_and_float16_is_taken() -> None:
    def found(seed: int) -> np.ndarray:
        index = InvertedFile(VECTORS.astype(np.float16), lists=17, seed=seed)
        return index.search(QUERIES, 5).ids

    np.testing.assert_array_equal(found(1), found(1))
    assert not np.array_equal(found(1), found(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InvertedFile(VECTORS, lists=301), "lists must be from 1 to the number of vectors, 300, got 301"),
        (lambda: InvertedFile(VECTORS, lists=0), "lists must be from 1"),
        (lambda: VectorGraph(VECTORS[:0]), r"vectors must have shape \(N, D\), at least one of them, got \(0, 8\)"),
        (lambda: VectorGraph(VECTORS[0]), r"got \(8,\)"),
        (lambda: InvertedCodes(VECTORS, lists=5, subspaces=3), "subspaces must divide the 8 dimensions"),
        (lambda: InvertedCodes(VECTORS, lists=5, subspaces=4, codewords=512), "got 4 and 512"),
        (lambda: InvertedCodes(VECTORS, lists=5, subspaces=4, codewords=100), "a power of two"),
    ],
)
def test_mistakes_are_told(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
