import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.data.draws import draw, even_shares, split_classes
from dqh.errors import DataError


def rng(seed=0):
    return np.random.default_rng(seed)


@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=8), fraction=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_shares_are_as_even_as_the_sizes_allow(sizes, fraction, seed):
    sizes = np.array(sizes)
    count = int(fraction * sizes.sum())
    shares = even_shares(sizes, count, rng(seed))
    assert shares.sum() == count
    assert (shares <= sizes).all()
    # whoever could give more gives the largest share or one less
    more = shares[shares < sizes]
    assert not len(more) or shares.max() - more.min() <= 1


def test_shares_of_equal_classes_are_equal():
    """12 of 3 classes of 10 each: 4 a class."""
    assert even_shares(np.array([10, 10, 10]), 12, rng()).tolist() == [4, 4, 4]


def test_a_draw_is_even_over_the_classes():
    labels = np.repeat([0, 1, 2], [50, 30, 5])
    rows = draw(np.arange(85), labels, 35, rng(), what="query")
    assert np.bincount(labels[rows]).tolist() == [15, 15, 5]
    assert (np.diff(rows) > 0).all()


def test_a_draw_takes_only_what_it_may():
    rows = draw(np.array([3, 5, 7, 9]), np.zeros(10, int), 4, rng(), what="query")
    assert rows.tolist() == [3, 5, 7, 9]


def test_every_row_of_a_class_is_equally_likely():
    """Two of four rows, 2,000 times: each is drawn 1,000 times, standard deviation √500 ≈ 22."""
    hits = sum(
        np.bincount(draw(np.arange(4), np.zeros(4, int), 2, rng(seed), what="a"), minlength=4) for seed in range(2000)
    )
    assert np.abs(hits - 1000).max() < 5 * 23


def test_several_labels_draw_uniformly_without_repeats():
    labels = np.zeros((20, 3), bool)
    assert draw(np.arange(20), labels, 20, rng(), what="query").tolist() == list(range(20))


def test_more_than_there_are_is_refused():
    with pytest.raises(DataError, match="train: 5 images wanted, 4 are left"):
        draw(np.arange(4), np.zeros(4, int), 5, rng(), what="train")


def test_classes_are_split_exactly():
    labels = np.tile([0, 1], 10)
    first, second, rest = split_classes(labels, (2, 3), rng())
    assert np.bincount(labels[first]).tolist() == [2, 2]
    assert np.bincount(labels[second]).tolist() == [3, 3]
    assert sorted([*first, *second, *rest]) == list(range(20))
