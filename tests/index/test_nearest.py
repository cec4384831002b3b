from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.index.nearest import Nearest


def test_by_hand() -> None:
    """Query 0 sees 4, 2, 2, 1: items 3 and 1, not 2, which ties with 1. Query 1 sees -1, -3, 0, -3: items 1 and 3."""
    nearest = Nearest(2, 2)
    nearest.offer(np.array([[4, -1], [2, -3], [2, 0]], dtype=np.float32), first_id=0)
    nearest.offer(np.array([[1, -3]], dtype=np.float32), first_id=3)
    found = nearest.ranking()
    assert found.ids.tolist() == [[3, 1], [1, 3]]
    assert found.distances.tolist() == [[1, 2], [-3, -3]]
    assert found.ids.dtype == np.int64
    assert found.distances.dtype == np.float32


@given(
    st.lists(
        st.lists(st.sampled_from([-2.5, -1.0, -0.0, 0.0, 1e-45, 0.5, 3e38]), min_size=3, max_size=3),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.integers(1, 30), max_size=3),
    st.integers(1, 35),
)
def test_chunks_equal_a_stable_sort(values: list[list[float]], cuts: list[int], k: int) -> None:
    """-0 and +0 are one distance; what is missing is padded."""
    distances = np.array(values, dtype=np.float32)
    nearest = Nearest(3, k)
    edges = sorted({0, len(distances), *(cut for cut in cuts if cut < len(distances))})
    for start, stop in pairwise(edges):
        nearest.offer(distances[start:stop], first_id=start)
    found, order = nearest.ranking(), np.argsort(distances, axis=0, kind="stable").T[:, :k]
    count = order.shape[1]
    assert np.array_equal(found.ids[:, :count], order)
    assert np.array_equal(found.distances[:, :count], np.take_along_axis(distances.T, order, axis=1))
    assert (found.ids[:, count:] == -1).all()
    assert np.isinf(found.distances[:, count:]).all()


@pytest.mark.parametrize("first_id", [2**31, 2**32 - 1])
def test_ids_beyond_31_bits(first_id: int) -> None:
    nearest = Nearest(1, 1)
    nearest.offer(np.array([[-1]], dtype=np.float32), first_id=first_id)
    assert nearest.ranking().ids.tolist() == [[first_id]]
