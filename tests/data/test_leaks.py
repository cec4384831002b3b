import numpy as np
import pytest

from dqh.data.leaks import check_leaks, find_leaks
from dqh.data.splits import Roles
from dqh.errors import LeakError
from tests.data.memory import Memory


def roles(query, database, train=(), validation=()):
    return Roles(*(np.array(rows, dtype=np.int64) for rows in (query, database, train, validation)))


#                  row: 0  1  2  3  4  5
CONTENT = {"values": [7, 7, 8, 9, 8, 7]}


def test_a_clean_split_has_no_leaks():
    source = Memory(np.zeros(6, int))
    leaks = find_leaks(source, roles([0, 1], [2, 3, 4], [2], [5]))
    assert leaks == (0, 0, ())
    assert check_leaks(source, roles([0, 1], [2, 3]), allow_duplicates=False) == leaks


@pytest.mark.parametrize("place", ["database", "train", "validation"])
def test_a_query_in_any_other_role_always_stops(place):
    source = Memory(np.zeros(6, int))
    split = roles([0, 1], [3], [4], [5])._replace(**{place: np.array([1])})
    assert find_leaks(source, split)[:2] == (1, 0)
    with pytest.raises(LeakError, match=r"1 of 2 queries of memory are in train.*'row/1' = 'row/1'"):
        check_leaks(source, split, allow_duplicates=True)


@pytest.mark.parametrize("place", ["database", "train", "validation"])
def test_equal_content_is_found_in_any_other_role(place):
    """Queries 0 and 1 hold 7 as row 5 does, query 3 holds 9 as no other does."""
    source = Memory(np.zeros(6, int), **CONTENT)
    split = roles([0, 1, 3], [2])._replace(**{place: np.array([2, 5])})
    leaks = find_leaks(source, split)
    assert leaks == (0, 2, (("row/0", "row/5"), ("row/1", "row/5")))
    assert check_leaks(source, split, allow_duplicates=True) == leaks
    with pytest.raises(LeakError, match=r"2 of 3 queries .*'row/0' = 'row/5'.* split\.allow_duplicates=true"):
        check_leaks(source, split, allow_duplicates=False)


def test_duplicates_among_queries_alone_are_no_leak():
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT), roles([0, 1], [2, 3]))[:2] == (0, 0)


def test_a_shared_query_is_not_counted_twice():
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT), roles([0], [0, 5]))[:2] == (1, 0)


def test_a_duplicate_of_a_shared_row_counts_by_content():
    """Row 0 is in both roles; query 1 holds the same content as it."""
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT), roles([0, 1], [0]))[:2] == (1, 1)


def test_images_that_cannot_be_read_are_left_out():
    assert find_leaks(Memory(np.zeros(6, int), **CONTENT, bad=[0, 5]), roles([0, 1], [5]))[:2] == (0, 0)


def test_only_a_few_examples_are_kept():
    source = Memory(np.zeros(40, int), values=[1] * 40)
    leaks = find_leaks(source, roles(range(20), range(20, 40)))
    assert (leaks.by_content, len(leaks.examples)) == (20, 5)
