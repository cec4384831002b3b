"""Own data split by shares: what classes of each size give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.data.protocols import Protocol
from dqh.data.shares import most_queries, share_of_queries, share_of_validation
from dqh.errors import DataError
from tests.data.memory import Memory

OWN = Protocol("counts", query="auto", validation="auto")


def sizes_of(labels, rows):
    return np.bincount(labels[rows], minlength=labels.max() + 1)


def drawn(labels, **options):
    source = Memory(labels)
    return Protocol("counts", **({"query": "auto", "validation": "auto"} | options)).draw(source).rows(source)


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_every_class_keeps_what_the_table_says(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    sizes = np.array(sizes)
    if sizes.max() == 1:
        with pytest.raises(DataError, match=r"cannot be split: .* the least are 3 images, 2 of them in one class"):
            drawn(labels, seed=seed)
        return
    roles = drawn(labels, seed=seed)
    query, database, train, validation = (sizes_of(labels, rows) for rows in roles)
    assert 1 <= len(roles.query) <= max(1, round(0.15 * len(labels)))
    assert (query <= most_queries(sizes)).all()
    assert (database == sizes - query).all()
    assert (train + validation == database).all()
    assert (database[query > 0] > 0).all()
    assert (train > 0).all()
    assert (train[sizes >= 4] >= 2).all()
    assert (3 * train[sizes >= 6] >= sizes[sizes >= 6]).all()
    assert not (validation == 1).any()
    assert not validation[sizes - query < 4].any()
    assert len(roles.validation) == 0 or np.count_nonzero(validation) >= 2


@given(rows=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=3, max_size=60), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_several_labels_an_image_keep_what_the_table_says(rows, seed):
    labels = np.array(rows)
    sizes = labels.sum(0)
    try:
        roles = drawn(labels, seed=seed)
    except DataError:
        assert not any(row.any() and (sizes[row] > 1).all() for row in labels)
        return
    query, database, train, validation = (labels[part] for part in roles)
    assert (query.sum(0) <= most_queries(sizes)).all()
    assert query.any(1).all()
    assert ((query & database.any(0)).sum(1) == query.sum(1)).all()  # each label of each query, not one alone
    assert (train.sum(0)[sizes > 0] > 0).all()
    assert all((a & np.delete(validation, number, 0)).any() for number, a in enumerate(validation))


@pytest.mark.parametrize(
    ("sizes", "query", "validation"),
    [
        ([60, 60, 60], 27, 18),  # 15 % of 180, 12 % of the other 153
        ([20, 20, 20], 9, 6),
        ([3000, 9000], 1000, 1000),
        ([2] * 500, 150, 0),
        ([4] * 1200, 720, 490),  # 12 % of 4,080
        ([120, 120] + [6] * 16, 50, 34),  # a 35th would be alone
        ([2, 1], 1, 0),
        ([1, 1, 1, 1, 5], 1, 0),
    ],
)
def test_sizes_follow_the_collection(sizes, query, validation):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    roles = drawn(labels)
    assert (len(roles.query), len(roles.validation)) == (query, validation)
    counts = sizes_of(labels, roles.validation)
    assert set(counts) <= {0, *range(2, 3001)}
    assert drawn(labels).query.tolist() == roles.query.tolist()


def test_a_long_tail_is_served_by_its_sizes():
    """2 classes of 120, 16 of 6: 50 queries are 2 of each rare class and 9 of the large ones, every one answerable."""
    labels = np.repeat(np.arange(18), [120, 120] + [6] * 16)
    roles = drawn(labels)
    assert sizes_of(labels, roles.query).tolist() == [9, 9] + [2] * 16
    assert sizes_of(labels, roles.train)[2:].min() >= 2


def test_where_no_limit_binds_a_share_is_the_draw_of_as_many():
    labels = np.tile(np.arange(5), 400)
    source = Memory(labels)
    numbers = Protocol("counts", query=300, validation=204, seed=3).draw(source)
    assert Protocol("counts", query="auto", validation="auto", seed=3).draw(source) == numbers


def test_own_numbers_stay():
    labels = np.tile(np.arange(3), 60)
    assert len(drawn(labels, query=31).query) == 31
    roles = drawn(labels, query="auto", validation=11)
    assert (len(roles.query), len(roles.validation)) == (27, 11)
    assert len(drawn(labels, validation=0).validation) == 0


@pytest.mark.parametrize("protocol", ["full", "given"])
def test_a_validation_part_of_the_data_goes_before_a_share(protocol):
    labels = np.tile(np.arange(4), 50)
    roles = {"query": range(20), "test": range(20), "train": range(20, 200)}
    without = Memory(labels, roles=roles)
    rows = Protocol(protocol, validation="auto").draw(without).rows(without)
    assert len(rows.validation) == 22
    within = Memory(labels, roles=roles | {"validation": range(150, 200)})
    assert len(Protocol(protocol, validation="auto").draw(within).validation) == 50


def test_few_images_are_all_trained_on():
    labels = np.tile(np.arange(2), 9)
    assert len(share_of_validation(np.arange(18), labels, np.random.default_rng(0))) == 0
    assert len(share_of_validation(np.arange(60), np.zeros(60, int), np.random.default_rng(0))) == 0  # one class


def test_images_without_labels_are_never_asked():
    labels = np.zeros((40, 3), bool)
    labels[:10, 0] = True
    assert (share_of_queries(labels, np.random.default_rng(0), name="x") < 10).all()
    with pytest.raises(DataError, match="x has 30 images in 0 classes and cannot be split"):
        share_of_queries(labels[10:], np.random.default_rng(0), name="x")
