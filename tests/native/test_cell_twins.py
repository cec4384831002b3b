"""Kernels of clustering called with arguments that do not fit: refused before any memory is touched."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dqh.native import twins
from dqh.native.extension import extension


def smallest() -> dict[str, Any]:
    """3 × 5 values, the 2 smallest."""
    return {
        "values": np.zeros((3, 5), np.float32),
        "rows": 3,
        "columns": 5,
        "offsets": np.zeros(3, np.float32),
        "width": 2,
        "scratch": np.zeros(7, np.uint64),
        "places": np.zeros((3, 2), np.int32),
        "least": np.zeros((3, 2), np.float32),
    }


def walk_cells() -> dict[str, Any]:
    """3 × 3 cells, all with a point, and two centres with two codewords a half."""
    return {
        "occupied": np.array([511], np.uint64),
        "ranks": np.zeros(1, np.uint32),
        "populations": np.ones(9, np.uint32),
        "cells": 9,
        "codewords": 3,
        "places": np.zeros((2, 2, 2), np.int32),
        "distances": np.zeros((2, 2, 2), np.float32),
        "count": 2,
        "width": 2,
        "first": 0,
        "target": 4,
        "steps": 1,
        "scratch": np.zeros(2 + 3 * 1024, np.uint64),
        "keys": np.zeros(9, np.uint64),
        "trail": np.zeros((2, 1), np.int32),
    }


def nearest_sums() -> dict[str, Any]:
    """3 × 3 cells, four centres, two cells."""
    return {
        "one": np.zeros((3, 4), np.float32),
        "other": np.zeros((3, 4), np.float32),
        "codewords": 3,
        "count": 4,
        "numbers": np.array([0, 8], np.uint32),
        "cells": 2,
        "first": 0,
        "keys": np.zeros(2, np.uint64),
    }


def group() -> dict[str, Any]:
    """Four places in two groups."""
    return {
        "labels": np.array([1, 0, -1, 1], np.int32),
        "count": 4,
        "groups": 2,
        "offsets": np.zeros(3, np.int64),
        "order": np.zeros(4, np.int32),
    }


def mean_sums() -> dict[str, Any]:
    """Two groups of one cell and of two, means of two dimensions."""
    return {
        "offsets": np.array([0, 1, 3], np.int64),
        "order": np.array([1, 0, 2], np.int32),
        "first": 0,
        "last": 2,
        "populations": np.ones(3, np.uint32),
        "rows": np.arange(3, dtype=np.int32),
        "cells": 3,
        "means": np.zeros((3, 2), np.float32),
        "number": 3,
        "size": 2,
        "sums": np.zeros((2, 2)),
    }


def codeword_sums() -> dict[str, Any]:
    """The same of 2 × 2 cells, codewords of one dimension a half."""
    return {
        "offsets": np.array([0, 1, 3], np.int64),
        "order": np.array([1, 0, 2], np.int32),
        "first": 0,
        "last": 2,
        "populations": np.ones(3, np.uint32),
        "numbers": np.array([0, 1, 3], np.uint32),
        "cells": 3,
        "codebooks": np.zeros((2, 2, 1), np.float32),
        "codewords": 2,
        "half": 1,
        "scratch": np.zeros(4, np.uint64),
        "sums": np.zeros((2, 2)),
    }


UNFIT: list[tuple[Any, dict[str, Any]]] = [
    *((smallest, unfit) for unfit in ({"width": 0}, {"width": 6}, {"rows": 4}, {"columns": 2**60})),
    (smallest, {"values": np.full((3, 5), np.nan, np.float32)}),
    (smallest, {"offsets": np.zeros(2, np.float32)}),
    (smallest, {"scratch": np.zeros(6, np.uint64)}),
    (smallest, {"places": np.zeros(5, np.int32)}),
    (smallest, {"least": np.zeros(5, np.float32)}),
    *((walk_cells, unfit) for unfit in ({"codewords": 0}, {"codewords": 9}, {"codewords": 2**40}, {"cells": 10})),
    *((walk_cells, unfit) for unfit in ({"cells": -1}, {"width": 0}, {"width": 3}, {"count": 3}, {"count": -1})),
    *(
        (walk_cells, unfit)
        for unfit in ({"first": -1}, {"first": 2**31 - 2}, {"steps": 2}, {"steps": -1}, {"target": 2**62})
    ),
    (walk_cells, {"places": np.full((2, 2, 2), 3, np.int32)}),
    (walk_cells, {"places": np.full((2, 2, 2), -1, np.int32)}),
    (walk_cells, {"distances": np.full((2, 2, 2), -1, np.float32)}),
    (walk_cells, {"distances": np.full((2, 2, 2), np.nan, np.float32)}),
    (walk_cells, {"ranks": np.full(1, 9, np.uint32)}),
    (walk_cells, {"keys": np.zeros(8, np.uint64)}),
    (walk_cells, {"scratch": np.zeros(1, np.uint64)}),
    *((nearest_sums, unfit) for unfit in ({"codewords": 4}, {"codewords": 0}, {"count": 5}, {"count": 0})),
    *((nearest_sums, unfit) for unfit in ({"cells": 3}, {"first": -1}, {"numbers": np.array([0, 9], np.uint32)})),
    *((group, unfit) for unfit in ({"count": 5}, {"groups": 3}, {"groups": 1}, {"groups": -1})),
    (group, {"labels": np.array([1, 0, -2, 1], np.int32)}),
    *((mean_sums, unfit) for unfit in ({"first": -1}, {"last": 3}, {"cells": 2}, {"number": 2}, {"size": 3})),
    (mean_sums, {"offsets": np.array([0, 1, 4], np.int64)}),
    (mean_sums, {"offsets": np.array([0, 3, 1], np.int64)}),
    (mean_sums, {"order": np.array([1, 0, 3], np.int32)}),
    (mean_sums, {"rows": np.array([1, 0, -1], np.int32)}),
    (mean_sums, {"sums": np.zeros((1, 2))}),
    *((codeword_sums, unfit) for unfit in ({"codewords": 3}, {"codewords": 0}, {"half": 2}, {"last": 3})),
    (codeword_sums, {"numbers": np.array([0, 1, 4], np.uint32)}),
    (codeword_sums, {"order": np.array([-1, 0, 2], np.int32)}),
    (codeword_sums, {"scratch": np.zeros(3, np.uint64)}),
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


@pytest.mark.parametrize(
    ("call", "unfit"),
    [
        (smallest, {"width": 6}),
        (walk_cells, {"places": np.full((2, 2, 2), 3, np.int32)}),
        (nearest_sums, {"numbers": np.array([0, 9], np.uint32)}),
        (group, {"groups": 1}),
    ],
)
def test_what_both_refuse(cell_kernels: ModuleType, call: Any, unfit: dict[str, Any]) -> None:
    assert getattr(cell_kernels, call.__name__)(*(call() | unfit).values()) == twins.ARGUMENT
