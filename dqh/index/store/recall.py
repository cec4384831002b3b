"""How much of what an exact scan finds an approximate engine finds."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines import Engine
from dqh.index.store.engine_cache import engine_over
from dqh.index.store.version import Version
from dqh.index.ways import way_by_codes

_ROUNDING = 1e-4
"""Relative difference of one distance as two engines add it up in float32."""


class Recall(NamedTuple):
    """Of one engine: mean share of k answers a query that are no farther than the kth of the exact scan, 0 … 1."""

    engine: str
    recall: float
    k: int
    queries: int


def recall_at(engine: Engine, exact: Engine, queries: NDArray[np.floating[Any]], k: int) -> float:
    """Mean share of the k answers of an exact scan for which an engine has one that is no farther away.

    Equal distances are equally good, whatever their rows, so that an exact engine has a recall of 1. Float distances
    count as equal within 1e-4 relative.

    Both engines are over the same rows, at least k; queries are (Q, D) embeddings, at least one.
    """
    limit = exact.search(queries, k).distances[:, -1:]
    answers = engine.search(queries, k)
    return float(((answers.ids >= 0) & (answers.distances <= limit + _ROUNDING * np.abs(limit))).mean())


def measure_recall(
    version: Version,
    engines: tuple[str, ...],
    *,
    way: str | None = None,
    k: int = 100,
    queries: int = 100,
    seed: int = 0,
    cache: bool = True,
) -> tuple[Recall, ...]:
    """The recall of engines over a version, with a sample of its own items as queries.

    A query is what the code of an item stands for, which lies nearer to its neighbours than an image from elsewhere
    does: recall on other images may be lower.

    k and the number of queries are no more than there are rows; engines are kept beside the index unless `cache` is
    false.

    Raises:
        ValueError: no such way or engine for these codes.
    """
    k, queries = min(k, len(version)), min(queries, len(version))
    chosen = np.sort(np.random.default_rng(seed).choice(len(version), queries, replace=False))
    embeddings = version.quantizer.preimage(version.codes(chosen))
    by = way_by_codes(version.quantizer, way)
    exact = engine_over(by.engine, version, by, cache=cache)
    return tuple(
        Recall(name, recall_at(engine_over(name, version, by, cache=cache), exact, embeddings, k), k, queries)
        for name in engines
    )
