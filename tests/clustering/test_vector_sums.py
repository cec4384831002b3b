"""Sums of vectors: the same bits, whoever adds up which chunks."""

import numpy as np
import pytest

from dqh.clustering.vector_sums import SumTree, VectorRows, VectorSums, chunk_sums

GENERATOR = np.random.default_rng(0)
VECTORS = (GENERATOR.standard_normal((1000, 5)) * 10.0 ** GENERATOR.integers(-8, 9, (1000, 1))).astype(np.float32)
CENTRES = VECTORS[::100].copy()


def test_sums_of_a_chunk_by_hand() -> None:
    """Rows 7, 8, 9, 10: 7 and 9 belong to the first centre, equally far; the second has 8 and 10; the third none."""
    rows = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)
    labels, distances = np.array([0, 1, 0, 1], np.int32), np.array([4, 1, 4, 9], np.float32)
    sums = chunk_sums(rows, labels, distances, first=7, clusters=3)
    assert sums.sums.tolist() == [[6, 8], [10, 12], [0, 0]]
    assert sums.counts.tolist() == [2, 2, 0]
    assert sums.errors.tolist() == [8, 10, 0]
    assert sums.farthest.tolist() == [7, 10, -1]
    assert sums.reach.tolist() == [4, 9, -1]
    assert sums.error == 18


def test_the_first_of_the_farthest_stays() -> None:
    """Both chunks have a vector as far as 4 of the first centre; of the second the later one is farther."""
    rows = np.zeros((2, 1), np.float32)
    labels = np.array([0, 1], np.int32)
    chunks = [
        chunk_sums(rows, labels, np.array(reach, np.float32), first=first, clusters=2)
        for first, reach in ((0, [4, 1]), (2, [4, 2]))
    ]
    assert chunks[0].plus(chunks[1]).farthest.tolist() == [0, 3]


def same(one: VectorSums, other: VectorSums) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("chunks_each", [1, 2, 4, 8, 16, 64])
def test_parts_of_a_power_of_two_chunks_have_the_same_bits(chunks_each: int) -> None:
    """1,000 vectors in chunks of 24 are 42; one after another their sums have other bits."""
    whole = VectorRows(VECTORS, slice(0, 1000), chunk=24).sums(CENTRES)
    tree = SumTree()
    for start in range(0, 1000, 24 * chunks_each):
        rows = slice(start, min(start + 24 * chunks_each, 1000))
        tree.add(VectorRows(VECTORS, rows, chunk=24).sums(CENTRES))
    assert same(tree.total(), whole)
    parts = [VectorRows(VECTORS, slice(at, min(at + 24, 1000)), chunk=24).sums(CENTRES) for at in range(0, 1000, 24)]
    plain = parts[0]
    for part in parts[1:]:
        plain = plain.plus(part)
    assert not same(plain, whole)
    np.testing.assert_allclose(plain.sums, whole.sums, rtol=1e-9)


def test_rows_go_on_where_they_stopped() -> None:
    whole = VectorRows(VECTORS, slice(0, 1000), chunk=24)
    wanted, (labels, distances) = whole.sums(CENTRES), whole.assigned(CENTRES)

    def after() -> None:
        if rows.done >= 480:
            raise KeyboardInterrupt

    rows = VectorRows(VECTORS, slice(0, 1000), chunk=24)
    with pytest.raises(KeyboardInterrupt):
        rows.sums(CENTRES, after=after)
    other = VectorRows(VECTORS, slice(0, 1000), chunk=24)
    other.restore(CENTRES, rows.state())
    assert other.done == 480
    assert same(other.sums(CENTRES), wanted)
    np.testing.assert_array_equal(other.assigned(CENTRES)[0], labels)
    np.testing.assert_array_equal(other.assigned(CENTRES)[1], distances)
