"""Which candidates of shards are those of one index, by hand."""

import numpy as np
import pytest

from dqh.service.refusals import RequestError
from dqh.service.shard_fields import Candidates
from dqh.service.shard_pool import pool_of


def told(rows: list[tuple[int, float]], *, images: list[int] | None = None, of_images: int = 0) -> Candidates:
    ids, distances = [number for number, _ in rows], [away for _, away in rows]
    return Candidates(
        version=1,
        ids=np.array(ids, "<i8").tobytes(),
        distances=np.array(distances, "<f4").tobytes(),
        images=np.array(images or [], "<i8").tobytes(),
        rows=len(rows),
        of_images=of_images,
        engine="hamming",
        is_exact=True,
        has_objects=images is not None,
    )


def test_the_nearest_of_all_with_equal_distances_cut_by_id() -> None:
    pool = pool_of({0: told([(7, 1), (9, 2), (1, 3)]), 2: told([(8, 2), (3, 2)]), 3: told([])}, {}, size=3)
    assert {number: ids.tolist() for number, ids in pool.ids.items()} == {0: [7], 2: [3, 8], 3: []}
    assert {number: own.tolist() for number, own in pool.distances.items()} == {0: [1], 2: [2, 2], 3: []}
    assert pool.rule(3) == "the 3 nearest by code, equal distances cut by id"


def test_a_row_of_two_shards_is_no_row_of_one_index() -> None:
    with pytest.raises(RequestError, match="two shards have the same items") as error:
        pool_of({0: told([(7, 1)]), 1: told([(7, 2)])}, {}, size=3)
    assert error.value.status == 409


def test_objects_are_enough_where_they_are_of_k_images() -> None:
    """Images are told apart within a shard: 5 of one is not 5 of the other."""
    first = told([(1, 0), (2, 0), (3, 1), (4, 5)], images=[5, 5, 6, 7], of_images=3)
    second = told([(10, 0), (11, 6)], images=[5, 8], of_images=2)
    pool = pool_of({0: first, 1: second}, {}, size=3)
    assert [pool.has_images(k) for k in (1, 2, 3, 9)] == [True, True, False, False]
    assert [pool_of({0: first, 1: second}, {}, size=4).has_images(k) for k in (3, 4)] == [True, False]
    assert pool_of({0: first, 1: second}, {}, size=6).has_images(9), "there are no more"
    assert pool.rule(3).endswith(", more where these are of too few images")
