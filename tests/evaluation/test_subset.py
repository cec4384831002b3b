import numpy as np

from dqh.evaluation.subset import drawn, subset_of


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
