"""An interrupted clustering goes on to the same result, whatever moment it was interrupted at."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.clustering import cell_points, vector_codes, vector_kmeans
from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.iq_means import MEAN_PASSES, IQMeans
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.clustering.resuming import KEEP_NOTHING, Arrays
from dqh.clustering.vector_kmeans import VectorKMeans
from dqh.quantizers.product import ProductQuantizer

GENERATOR = np.random.default_rng(0)
VECTORS = (GENERATOR.standard_normal((30, 8))[GENERATOR.integers(0, 30, 700)] * 3).astype(np.float32)
VECTORS += GENERATOR.standard_normal(VECTORS.shape).astype(np.float32)
QUANTIZER = ProductQuantizer(4, 16).fit(VECTORS)


class StoppedError(Exception):
    """What ends a run in these tests."""


class Kept:
    """Keeps all that is offered, in memory, and raises once so much was offered."""

    def __init__(self, stages: dict[str, dict[str, NDArray[Any]]], most: int) -> None:
        self.stages, self.left = stages, most
        self.offered: list[str] = []

    def load(self, stage: str) -> dict[str, NDArray[Any]] | None:
        return copy.deepcopy(self.stages.get(stage))

    def offer(self, stage: str, state: Callable[[], Arrays], *, ended: bool = False) -> None:
        self.stages[stage] = {name: np.array(array) for name, array in state().items()}
        self.offered.append(stage)
        self.left -= 1
        if not self.left:
            raise StoppedError


def same(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_array_equal(one.cluster_centers_, other.cluster_centers_)
    np.testing.assert_array_equal(one.sizes_, other.sizes_)
    assert one.distortion_ == other.distortion_
    assert one.history_ == other.history_


METHODS: dict[str, Callable[[Any], Any]] = {
    "exact": lambda kept: IQMeans(30, codewords=32, tolerance=0).fit(VECTORS, checkpoints=kept),
    "inverted": lambda kept: IQMeans(30, codewords=32, assignment="inverted", window=8).fit(VECTORS, checkpoints=kept),
    "remembering": lambda kept: IQMeans(30, codewords=32, assignment="inverted", window=8, reset=False).fit(
        VECTORS, checkpoints=kept
    ),
    "auto": lambda kept: IQMeans("auto", codewords=32, most_clusters=90, overlap=0.9).fit(VECTORS, checkpoints=kept),
    "codes of cells": lambda kept: IQMeans(9, quantizer=ProductQuantizer(2, 16).fit(VECTORS), tolerance=0).fit_codes(
        ProductQuantizer(2, 16).fit(VECTORS).encode(VECTORS), checkpoints=kept
    ),
    "plain": lambda kept: VectorKMeans(20, iterations=4).fit(VECTORS, checkpoints=kept),
    "binary": lambda kept: BinaryKMeans(20, bits=8).fit(VECTORS, checkpoints=kept),
    "product": lambda kept: PQKMeans(20, QUANTIZER, start="k-means++").fit(QUANTIZER.encode(VECTORS), checkpoints=kept),
}


@pytest.mark.parametrize("method", METHODS)
def test_whatever_was_finished_the_result_is_the_same(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after each thing that is kept, at first, and again once it went on."""
    for module in (cell_points, vector_codes, vector_kmeans):
        monkeypatch.setattr(module, "CHUNK", 256)  # three parts
    fit = METHODS[method]
    whole, told = fit(KEEP_NOTHING), Kept({}, -1)
    same(fit(told), whole)
    parts = {"plain": 3 * (whole.n_iter_ + 1), "binary": whole.n_iter_, "product": whole.n_iter_}
    parts["codes of cells"] = whole.n_iter_ - 1
    assert told.offered.count("iterations") == parts.get(method, whole.n_iter_ - 1 + MEAN_PASSES)
    stages = [told.offered.count(stage) for stage in ("quantizer", "cells", "codes")]
    assert stages == {"codes of cells": [0, 0, 0], "product": [0, 0, 0], "binary": [1, 0, 3], "plain": [0, 0, 0]}.get(
        method, [1, 3, 0]
    )
    assert len(told.offered) > 2
    for most in range(1, len(told.offered) + 1):
        stages: dict[str, dict[str, NDArray[Any]]] = {}
        with pytest.raises(StoppedError):
            fit(Kept(stages, most))
        later = Kept(stages, 2)
        try:
            ended = fit(later)
        except StoppedError:
            ended = fit(Kept(stages, -1))
        same(ended, whole)


def test_what_is_kept_is_not_done_again() -> None:
    stages: dict[str, dict[str, NDArray[Any]]] = {}
    METHODS["exact"](Kept(stages, -1))

    class Unread:
        """Vectors that nobody reads."""

        shape, dtype = VECTORS.shape, VECTORS.dtype

        def __len__(self) -> int:
            return len(VECTORS)

        def __getitem__(self, rows: Any) -> Any:
            raise AssertionError(rows)

    clusters = IQMeans(30, codewords=32, tolerance=0).fit(Unread(), checkpoints=Kept(stages, -1))
    same(clusters, METHODS["exact"](KEEP_NOTHING))
