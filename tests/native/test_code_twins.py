"""Kernels of clustering packed codes called with arguments that do not fit: refused before memory is touched."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dqh.native import twins
from dqh.native.extension import extension

EVERY = np.arange(2**16, dtype=np.uint16)
ONES = np.bitwise_count(EVERY)


def bit_sums() -> dict[str, Any]:
    """Two groups of one code and of two."""
    return {
        "offsets": np.array([0, 1, 3], np.int64),
        "order": np.array([1, 0, 2], np.int32),
        "first": 0,
        "last": 2,
        "codes": np.zeros((3, 2), np.uint64),
        "weights": np.ones(3, np.uint32),
        "number": 3,
        "words": 2,
        "sums": np.zeros((2, 128), np.int64),
    }


def multi_index_nearest() -> dict[str, Any]:
    """Two codes 0 of one part, three queries."""
    starts = np.full((1, 2**16 + 1), 2, np.int32)
    starts[0, 0] = 0
    return {
        "codes": np.zeros((2, 1), np.uint64),
        "starts": starts,
        "places": np.array([[0, 1]], np.int32),
        "levels": np.searchsorted(np.sort(ONES), np.arange(18)).astype(np.int32),
        "flips": EVERY[np.argsort(ONES, kind="stable")],
        "rows": 2,
        "words": 1,
        "parts": 1,
        "queries": np.zeros((3, 1), np.uint64),
        "count": 3,
        "ids": np.zeros(3, np.int32),
        "distances": np.zeros(3, np.int32),
    }


def nearest_centres() -> dict[str, Any]:
    """Three codes of two subspaces with four codewords, two centres."""
    return {
        "distances": np.zeros((2, 4, 4), np.float32),
        "steps": np.zeros((2, 4, 4), np.uint8),
        "subspaces": 2,
        "codewords": 4,
        "scale": 1.0,
        "centres": np.zeros((2, 2), np.uint8),
        "count": 2,
        "indices": np.zeros((3, 2), np.uint8),
        "points": 3,
        "scratch": np.zeros(2 * 4 * 64 + 3, np.uint8),
        "keys": np.zeros(3, np.uint64),
    }


def nearest_by_last() -> dict[str, Any]:
    """Two centres of two words, three codes."""
    return {
        "offsets": np.array([0, 1, 3], np.int64),
        "order": np.array([1, 0, 2], np.int32),
        "first": 0,
        "last": 2,
        "codes": np.zeros((3, 2), np.uint64),
        "number": 3,
        "centres": np.zeros((2, 2), np.uint64),
        "count": 2,
        "words": 2,
        "most": 1,
        "scratch": np.zeros(520, np.int32),
        "ids": np.zeros(3, np.int32),
        "distances": np.zeros(3, np.int32),
    }


def nearest_codes() -> dict[str, Any]:
    """Two of three codes of two words, five centres."""
    return {
        "codes": np.zeros((3, 2), np.uint64),
        "number": 3,
        "places": np.array([2, 0], np.int32),
        "places_count": 2,
        "columns": np.zeros((2, 5), np.uint64),
        "count": 5,
        "words": 2,
        "ids": np.zeros(2, np.int32),
        "distances": np.zeros(2, np.int32),
    }


UNFIT: list[tuple[Any, dict[str, Any]]] = [
    *((nearest_by_last, unfit) for unfit in ({"first": -1}, {"last": 3}, {"number": 2}, {"number": 4}, {"words": 0})),
    *((nearest_by_last, unfit) for unfit in ({"words": 3}, {"words": 2**20}, {"count": 1}, {"count": 3}, {"most": -1})),
    (nearest_by_last, {"order": np.array([1, 0, 3], np.int32)}),
    (nearest_by_last, {"offsets": np.array([0, 1, 4], np.int64)}),
    (nearest_by_last, {"scratch": np.zeros(519, np.int32)}),
    (nearest_by_last, {"ids": np.zeros(2, np.int32)}),
    (nearest_by_last, {"distances": np.zeros(2, np.int32)}),
    *((nearest_codes, unfit) for unfit in ({"number": 2}, {"number": 4}, {"places_count": 3}, {"places_count": -1})),
    *((nearest_codes, unfit) for unfit in ({"count": 0}, {"count": 6}, {"words": 0}, {"words": 3}, {"words": 5})),
    (nearest_codes, {"places": np.array([3, 0], np.int32)}),
    (nearest_codes, {"places": np.array([-1, 0], np.int32)}),
    (nearest_codes, {"ids": np.zeros(1, np.int32)}),
    (nearest_codes, {"distances": np.zeros(1, np.int32)}),
    *((bit_sums, unfit) for unfit in ({"first": -1}, {"last": 3}, {"number": 2}, {"number": 4}, {"words": 0})),
    *((bit_sums, unfit) for unfit in ({"words": 3}, {"words": 2**20})),
    (bit_sums, {"order": np.array([1, 0, 3], np.int32)}),
    (bit_sums, {"offsets": np.array([0, 1, 4], np.int64)}),
    (bit_sums, {"weights": np.ones(2, np.uint32)}),
    (bit_sums, {"sums": np.zeros((1, 128), np.int64)}),
    *((multi_index_nearest, unfit) for unfit in ({"rows": 0}, {"rows": 1}, {"rows": 3}, {"words": 2}, {"parts": 0})),
    *((multi_index_nearest, unfit) for unfit in ({"parts": 2}, {"parts": 5}, {"count": 4}, {"count": -1})),
    (multi_index_nearest, {"starts": np.zeros((1, 2**16 + 1), np.int32)}),
    (multi_index_nearest, {"places": np.array([[0, 2]], np.int32)}),
    (multi_index_nearest, {"levels": np.zeros(18, np.int32)}),
    (multi_index_nearest, {"flips": EVERY[1:]}),
    (multi_index_nearest, {"ids": np.zeros(2, np.int32)}),
    (multi_index_nearest, {"distances": np.zeros(2, np.int32)}),
    *((nearest_centres, unfit) for unfit in ({"subspaces": 0}, {"subspaces": 3}, {"subspaces": 2000})),
    *((nearest_centres, unfit) for unfit in ({"codewords": 0}, {"codewords": 5}, {"codewords": 257})),
    *((nearest_centres, unfit) for unfit in ({"points": 4}, {"points": -1}, {"count": 0}, {"count": 3})),
    *((nearest_centres, {name: np.full((3, 2), 4, np.uint8)}) for name in ("indices", "centres")),
    *((nearest_centres, {"scale": scale}) for scale in (-1.0, float("nan"))),
    (nearest_centres, {"distances": np.zeros((2, 4, 3), np.float32)}),
    (nearest_centres, {"steps": np.zeros((2, 4, 3), np.uint8)}),
    (nearest_centres, {"scratch": np.zeros(2 * 4 * 64 + 2, np.uint8)}),
    (nearest_centres, {"keys": np.zeros(2, np.uint64)}),
]


@pytest.mark.parametrize(
    ("call", "unfit"), UNFIT, ids=lambda value: value.__name__ if callable(value) else "-".join(value)
)
def test_arguments_that_do_not_fit(call: Any, unfit: dict[str, Any]) -> None:
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    kernel = getattr(native, call.__name__)
    assert kernel(*call().values()) == twins.OK
    assert kernel(*(call() | unfit).values()) == twins.ARGUMENT


def test_a_codeword_that_is_none(code_kernels: ModuleType) -> None:
    for name in ("indices", "centres"):
        arguments = nearest_centres() | {name: np.full((3, 2), 4, np.uint8)}
        assert code_kernels.nearest_centres(*arguments.values()) == twins.ARGUMENT
