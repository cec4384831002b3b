import numpy as np

from dqh.data import Roles
from dqh.evaluation.subset import drawn, subset_of, unseen_classes, unseen_part
from dqh.ranking.side import Side


def test_all_where_there_are_no_more() -> None:
    assert drawn(5, 5).tolist() == drawn(5, None).tolist() == [0, 1, 2, 3, 4]
    assert subset_of(5, 7, most=7) is subset_of(5, 7, most=None) is None


def test_some_are_drawn_and_always_the_same() -> None:
    """Of images that take turns by class each class is there: every tenth would be of one class."""
    some = drawn(50_000, 5_000)
    assert len(np.unique(some)) == 5_000
    assert (np.diff(some) > 0).all()
    assert (some == drawn(50_000, 5_000)).all()
    assert not (some == drawn(50_000, 5_000, seed=1)).all()
    counts = np.bincount(some % 10, minlength=10)
    assert counts.min() > 400  # 500 each in the mean, standard deviation 20


def test_a_subset_has_all_of_the_side_that_is_small() -> None:
    found = subset_of(3, 100, most=10)
    assert found is not None
    assert found.query.tolist() == [0, 1, 2]
    assert len(found.database) == 10


ROLES = Roles(*(np.array(rows) for rows in ([0, 1], [2, 3, 4, 5], [3, 4], [5])))


def side(labels: np.ndarray) -> Side:
    values = np.arange(len(labels))
    return Side(values[:, None].astype(np.uint8), values[:, None], values[:, None], labels)


def test_single_labels() -> None:
    """Train and validation have classes 1, 2 and 0; of the queries' classes 0 and 3 the latter is unseen."""
    labels = np.array([0, 3, 3, 1, 2, 0])
    unseen = unseen_classes(labels, ROLES, classes=5)
    assert unseen.tolist() == [False, False, False, True, False]
    part = unseen_part(side(labels), unseen)
    assert part.labels.tolist() == [3, 3]
    assert part.codes[:, 0].tolist() == part.embedding[:, 0].tolist() == part.features[:, 0].tolist() == [1, 2]


def test_several_labels() -> None:
    """Class 2 is on query 1 and database item 2 only; of their labels it alone is kept."""
    labels = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0]], bool)
    unseen = unseen_classes(labels, ROLES, classes=3)
    assert unseen.tolist() == [False, False, True]
    part = unseen_part(side(labels), unseen)
    assert part.labels.tolist() == [[True], [True]]
    assert part.codes[:, 0].tolist() == [1, 2]
