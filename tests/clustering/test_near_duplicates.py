"""Groups of nearly equal codes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from dqh.clustering import near_duplicates as module
from dqh.clustering.near_duplicates import near_duplicates
from dqh.codes import unpack


def test_chains_by_hand() -> None:
    """0000 – 0001 – 0011 a bit apart each, 1100 twice: within 1 bit {0, 1, 2} is 2 across; within 2 all are one."""
    codes = np.array([[0b0011], [0b0000], [0b0001], [0b1100], [0b1100]], np.uint8)
    groups = {radius: near_duplicates(codes, radius, bits=4) for radius in (0, 1, 2)}
    assert [(group.rows.tolist(), group.diameter) for group in groups[0]] == [([3, 4], 0)]
    assert [(group.rows.tolist(), group.diameter) for group in groups[1]] == [([0, 1, 2], 2), ([3, 4], 0)]
    assert [(group.rows.tolist(), group.diameter) for group in groups[2]] == [([0, 1, 2, 3, 4], 4)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([6, 16, 70]), st.integers(0, 8), st.sampled_from([1, 100, 2**24]))
def test_groups_are_those_of_single_linkage(seed: int, bits: int, radius: int, pairs: int) -> None:
    """As scipy links them, however few pairs are looked at together; and diameters by all pairs."""
    generator = np.random.default_rng(seed)
    middles = generator.integers(0, 2, (6, bits))
    bit = middles[generator.integers(0, 6, 40)] ^ (generator.random((40, bits)) < 0.05)
    codes = np.packbits(bit, axis=1, bitorder="little")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS", pairs)
        patch.setattr(module, "_BLOCK", 3)
        groups = near_duplicates(codes, radius, bits=bits)
    points = unpack(codes, bits)
    owner = fcluster(linkage(points, "single", metric="cityblock"), radius, "distance")
    wanted = sorted(np.flatnonzero(owner == number).tolist() for number in set(owner.tolist()))
    assert sorted(group.rows.tolist() for group in groups) == [rows for rows in wanted if len(rows) > 1]
    assert [len(group.rows) for group in groups] == sorted((len(group.rows) for group in groups), reverse=True)
    for group in groups:
        members = points[group.rows]
        assert group.diameter == (members[:, None] != members).sum(axis=2).max()


def test_what_does_not_fit() -> None:
    assert near_duplicates(np.zeros((0, 2), np.uint8), 3, bits=16) == []
    assert near_duplicates(np.zeros((1, 2), np.uint8), 3, bits=16) == []
    with pytest.raises(ValueError, match="radius must be at least 0 bits, got -1"):
        near_duplicates(np.zeros((3, 2), np.uint8), -1, bits=16)
    with pytest.raises(ValueError, match="zeros after bit 4"):
        near_duplicates(np.full((3, 1), 16, np.uint8), 1, bits=4)
