"""Sparse rows against a matrix with all places."""

import numpy as np

from dqh.discovery.related.item_rows import item_rows, sums


def test_as_a_whole_matrix() -> None:
    generator = np.random.default_rng(0)
    rows, columns = generator.integers(0, 9, (2, 60))
    values = generator.random((60, 2))
    whole = np.zeros((9, 9, 2))
    np.add.at(whole, (rows, columns), values)
    sparse = item_rows(rows, columns, values, items=9)
    others = np.array([3, -1, 0, 8, 8])
    for item in range(9):
        wanted = whole[item][others]
        wanted[others < 0] = 0
        np.testing.assert_allclose(sparse.beside(item, others), wanted)
        kept, numbers = sparse.row(item)
        np.testing.assert_allclose(numbers, whole[item][kept])
        assert (np.diff(kept) > 0).all()


def test_of_nothing() -> None:
    empty = item_rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3)), items=2)
    assert empty.starts.tolist() == [0, 0, 0]
    assert empty.beside(1, np.array([0, 1])).tolist() == [[0, 0, 0]] * 2
    assert len(empty.row(-1)[0]) == 0


def test_sums() -> None:
    assert sums(np.array([2, 0, 2]), np.array([1, 2, 3]), 4).tolist() == [2, 0, 4, 0]
