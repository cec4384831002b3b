import numpy as np
import pytest
import torch

from dqh.ranking.relevance import label_tensor, relevance, relevant_counts, require_labels


def relevant(query: np.ndarray, database: np.ndarray) -> list[list[bool]]:
    return relevance(label_tensor(query, "cpu"), label_tensor(database, "cpu")).tolist()


def test_single_labels_by_hand() -> None:
    assert relevant(np.array([2, 0]), np.array([0, 2, 2])) == [[False, True, True], [True, False, False]]


def test_multiple_labels_by_hand() -> None:
    """Query {0, 2} shares 2 with {1, 2}, both with {0, 2}, none with {1}; an item without labels answers nothing."""
    query = np.array([[1, 0, 1], [0, 0, 0]], dtype=bool)
    database = np.array([[0, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    assert relevant(query, database) == [[True, True, False, False], [False] * 4]


def test_one_hot_labels_equal_single_ones() -> None:
    generator = np.random.default_rng(0)
    query, database = generator.integers(0, 7, 20), generator.integers(0, 7, 50)
    one_hot = np.eye(7, dtype=bool)
    assert relevant(query, database) == relevant(one_hot[query], one_hot[database])


def test_reduced_matmul_precision_changes_nothing() -> None:
    generator = np.random.default_rng(1)
    query, database = generator.random((9, 80)) < 0.1, generator.random((33, 80)) < 0.1
    wanted = relevant(query, database)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert relevant(query, database) == wanted
    finally:
        torch.set_float32_matmul_precision(before)


SINGLE, MULTIPLE = np.zeros(3, np.int64), np.zeros((3, 4), bool)


@pytest.mark.parametrize(
    ("query", "database", "error", "message"),
    [
        (SINGLE, MULTIPLE, ValueError, "must be of one kind"),
        (MULTIPLE, MULTIPLE[:, :2], ValueError, "as many classes, got 4 and 2"),
        (SINGLE, np.zeros((3, 4), np.int64), ValueError, r"database labels .* got int64 of shape \(3, 4\)"),
        (SINGLE.astype(float), SINGLE, TypeError, "query labels .* got float64"),
        (SINGLE.astype(bool), SINGLE, ValueError, "query labels .* got bool"),
    ],
)
def test_labels_that_cannot_be_compared(
    query: np.ndarray, database: np.ndarray, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        require_labels(query, database)


def test_labels_that_can_be_compared() -> None:
    require_labels(SINGLE, SINGLE.astype(np.int32))
    require_labels(MULTIPLE, MULTIPLE[:1])


@pytest.mark.parametrize("kind", ["single", "multiple"])
def test_relevant_items_are_counted_as_relevance_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in chunks, for classes that the database lacks, and for rows without labels."""
    monkeypatch.setattr("dqh.ranking.relevance._CHUNK", 7)
    rng = np.random.default_rng(0)
    if kind == "single":
        query, database = rng.integers(-1, 9, 20), rng.integers(0, 7, 50)
    else:
        query, database = rng.random((20, 5)) < 0.2, rng.random((50, 5)) < 0.2
    assert relevant_counts(query, database).tolist() == [sum(row) for row in relevant(query, database)]
