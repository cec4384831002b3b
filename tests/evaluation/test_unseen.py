import numpy as np

from dqh.data import Roles
from dqh.evaluation.unseen import unseen_classes, unseen_part
from dqh.ranking.side import Side

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
