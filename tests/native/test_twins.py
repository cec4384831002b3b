"""Kernels called as they are: memory of any alignment, and arguments that do not fit."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dqh.native import twins
from dqh.native.extension import extension
from dqh.native.hamming_codes import blocks_of, words_of

CODES = np.random.default_rng(0).integers(0, 256, (61, 24), dtype=np.uint8)
BLOCKS, QUERIES = blocks_of(CODES), words_of(CODES[:5])


def moved(values: np.ndarray, offset: int) -> np.ndarray:
    """The same bytes, `offset` bytes behind an aligned address."""
    memory = np.zeros(values.nbytes + 64 + offset, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    memory[start : start + values.nbytes] = values.reshape(-1).view(np.uint8)
    return memory[start : start + values.nbytes]


def scratch_for(kernels: ModuleType, k: int) -> np.ndarray:
    return np.empty(kernels.hamming_scratch(5, 61, 3, k) // 8, np.uint64)


@pytest.mark.parametrize("offset", [0, 1, 3, 8, 17])
def test_codes_at_any_address(kernels: ModuleType, offset: int) -> None:
    ids, distances = np.empty((5, 7), np.int64), np.empty((5, 7), np.int32)
    blocks = BLOCKS if kernels is twins else moved(BLOCKS, offset)
    status = kernels.hamming_nearest(blocks, None, 61, 3, 8, 61, QUERIES, 5, 7, scratch_for(kernels, 7), ids, distances)
    wanted = np.bitwise_count(QUERIES[:, None] ^ words_of(CODES)[None]).sum(axis=2)[:, 8:]
    order = np.argsort(wanted, axis=1, kind="stable")[:, :7]
    assert status == twins.OK
    assert ids.tolist() == (order + 8).tolist()
    assert distances.tolist() == np.take_along_axis(wanted, order, axis=1).tolist()


def test_hits_beyond_the_memory_are_told(kernels: ModuleType) -> None:
    """All 61 rows are within 192 bits, and one place is missing; no other is touched."""
    cursors, scratch = np.zeros((5, 193), np.int64), scratch_for(kernels, 1)
    common = (BLOCKS, None, 61, 3, 0, 61, QUERIES, 5, 192, scratch, cursors)
    assert kernels.hamming_within(*common, None, None) == twins.OK
    assert cursors.sum(axis=1).tolist() == [61] * 5
    ends = np.cumsum(cursors).reshape(cursors.shape)
    cursors[:] = ends - cursors
    ids, distances = np.full(306, -7, np.int64), np.full(306, -7, np.int32)
    assert kernels.hamming_within(*common, ids[:304], distances[:304]) == twins.FULL
    assert ids[304:].tolist() == distances[304:].tolist() == [-7, -7]
    assert (ids[:304] >= 0).all()


NEAREST: dict[str, Any] = {
    "blocks": BLOCKS,
    "allowed": None,
    "rows": 61,
    "words": 3,
    "first": 0,
    "last": 61,
    "queries": QUERIES,
    "count": 5,
    "k": 4,
    "scratch": np.zeros(10_000, np.uint64),
    "ids": np.zeros((5, 4), np.int64),
    "distances": np.zeros((5, 4), np.int32),
}
UNFIT: list[dict[str, Any]] = [
    {"k": 0},
    {"k": 5},
    {"k": 2**62},
    {"rows": 65},
    {"rows": -1},
    {"rows": 2**62},
    {"words": 0},
    {"words": 4},
    {"words": 2**60},
    {"first": 4},
    {"first": -8},
    {"last": 60},
    {"last": 69},
    {"count": 6},
    {"count": -1},
    {"allowed": np.zeros(7, np.uint8)},
    {"scratch": np.zeros(8, np.uint64)},
    {"scratch": moved(np.empty(10_000, np.uint64), 4)},
    {"ids": np.zeros(19, np.int64)},
    {"ids": moved(np.empty(20, np.int64), 4)},
    {"distances": np.zeros(19, np.int32)},
    {"queries": moved(QUERIES, 1)},
]


@pytest.mark.parametrize("unfit", UNFIT, ids=lambda unfit: "-".join(unfit))
def test_arguments_that_do_not_fit(unfit: dict[str, Any]) -> None:
    """Refused before any memory is touched."""
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    assert native.hamming_nearest(*NEAREST.values()) == twins.OK
    assert native.hamming_nearest(*(NEAREST | unfit).values()) == twins.ARGUMENT


@pytest.mark.parametrize("radius", [-1, 193])
def test_a_radius_out_of_range(kernels: ModuleType, radius: int) -> None:
    cursors, scratch = np.zeros((5, 300), np.int64), scratch_for(kernels, 1)
    arguments = (BLOCKS, None, 61, 3, 0, 61, QUERIES, 5, radius, scratch, cursors, None, None)
    assert kernels.hamming_within(*arguments) == twins.ARGUMENT
