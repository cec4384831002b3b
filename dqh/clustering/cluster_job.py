"""A whole clustering: from points and settings to a folder of clusters, and on from where an earlier run stopped.

N points, k clusters.
"""

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_points import CHUNK, Space, occupied_cells
from dqh.clustering.cluster_files import ClusteredPoints, result_of, write_clusters
from dqh.clustering.cluster_folder import PACE, SKIPPED, cluster_folder, require_place
from dqh.clustering.cluster_input import ClusterInput
from dqh.clustering.cluster_memory import available_bytes, estimated, require_memory, shown_bytes
from dqh.clustering.cluster_methods import METHODS, Clusters, ClusterSettings, Coded
from dqh.clustering.cluster_numbers import cluster_numbers
from dqh.clustering.spreading import Elsewhere, Opened, Spread
from dqh.data.point_files import Kind, Rows
from dqh.errors import ConfigError, TooManyBadImagesError
from dqh.plural import counted
from dqh.progress import Progress
from dqh.quantizers.codebooks import LARGEST_VALUE

logger = logging.getLogger(__name__)

_CODES = {
    "iqmeans": ("pq", "give what made them: --quantizer ARTIFACT"),
    "pqkmeans": ("pq", "give what made them: --quantizer ARTIFACT"),
    "binary_kmeans": ("binary", "take pqkmeans"),
}
"""Method → the kind of codes that it clusters, and what to do about others."""

MAX_BAD_FRACTION = 0.01
"""Part of the points that may be unusable."""


class _Chosen:
    """Some of the rows of vectors.

    Args:
        rows: all of them.
        numbers: (n,) int64, ascending, of those that are chosen.
    """

    def __init__(self, rows: Rows, numbers: NDArray[np.int64]) -> None:
        self._rows, self._numbers = rows, numbers
        self.shape, self.dtype = (len(numbers), rows.shape[1]), rows.dtype

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: Any, /) -> Any:
        return self._rows[self._numbers[rows]]


def cluster_points(
    given: ClusterInput,
    settings: ClusterSettings,
    out: Path,
    *,
    memory: int | None = None,
    max_bad_fraction: float = MAX_BAD_FRACTION,
    pace: float = PACE,
    spread: Spread | None = None,
) -> dict[str, Any]:
    """Cluster points into a folder, or go on with what an earlier run of the same left there.

    Args:
        given: the points.
        settings: how.
        out: the folder, new, empty, or of the same points and settings.
        memory: bytes that may be taken; None for what is free.
        max_bad_fraction: the largest part of the vectors that may be unusable.
        pace: seconds, see `dqh.clustering.cluster_folder.PACE`.
        spread: who assigns points in the place of this process.

    Returns:
        The result, as `clusters.json` has it: numbers of points and clusters, distortion, purity or null, and so on.

    Raises:
        ConfigError: settings and points, or the folder, do not fit, or it would take more memory.
        TooManyBadImagesError: too many vectors are not finite.
        DataError, StoreError: the points are damaged.
        ArtifactError: the folder is damaged, or another run is at it.
        ValueError: a method cannot make so many clusters of these points.
    """
    require_place(out)
    _require_fit(given, settings)
    elsewhere = _elsewhere(given, settings, spread)
    parts = estimated(
        settings,
        points=given.total,
        dimension=_dimension(given, settings),
        bits=None if settings.points == "vectors" else given.bits,
        held_bytes=given.held_bytes,
        **_counted_cells(given, settings),
    )
    require_memory(settings, parts, available_bytes() if memory is None else memory, told=memory is not None)
    logger.info(
        "%s of %s into %s by %s: up to %s of memory",
        *(given.name, counted(given.total, given.noun), settings.clusters, settings.method),
        shown_bytes(sum(parts.values())),
    )
    points = given.identity | {"name": Path(given.name).name, "total": given.total}
    with cluster_folder(out, settings=settings.to_json(), points=points, pace=pace) as folder:
        if folder.result is not None:
            folder.require_whole()
            logger.info("%s is finished; nothing to do", out)
            return folder.result
        if folder.stages:
            logger.info("%s: an earlier run was interrupted; going on with it", out)
        chosen, skipped = _usable(given, settings, max_bad_fraction)
        if elsewhere is not None and elsewhere.opened is not None and len(skipped):
            elsewhere = elsewhere._replace(opened=partial(_opened_chosen, elsewhere.opened, skipped))
        clusters = METHODS[settings.method](chosen, settings, folder, elsewhere=elsewhere)
        whole = _whole(given, clusters, skipped)
        result = result_of(settings, whole)
        folder.finish(result, partial(write_clusters, given, settings, whole, result))
    if (most := _most_memory()) is not None:
        logger.info("at most %s of memory were taken", shown_bytes(most))
    return result


def _opened_chosen(opened: Opened, skipped: NDArray[np.int64]) -> _Chosen:
    vectors = opened()
    return _Chosen(vectors, np.setdiff1d(np.arange(len(vectors)), skipped))


def _elsewhere(given: ClusterInput, settings: ClusterSettings, spread: Spread | None) -> Elsewhere | None:
    """Who assigns the points; `ConfigError` where that is not what takes the time."""
    if spread is None:
        return None
    if settings.points == "codes" and settings.method == "iqmeans":
        raise ConfigError("an executor has nothing to do for iqmeans of codes, which are cells already; leave it off")
    return Elsewhere(spread, given.opened)


def points_of(given: ClusterInput, method: str) -> Kind:
    """Which side of the points a method clusters where nobody says: codes that it can cluster, else vectors."""
    suits = method != "iqmeans" and given.codes is not None and _CODES.get(method, ("",))[0] == given.code_kind
    return "codes" if suits or given.vectors is None else "vectors"


def _require_fit(given: ClusterInput, settings: ClusterSettings) -> None:
    """Raise `ConfigError` where a method cannot cluster such points, or not into so many clusters."""
    method, kind = settings.method, given.code_kind
    problems = []
    if settings.points == "vectors" and given.vectors is None:
        problems.append(f"{given.name} holds codes, no vectors; {method} clusters vectors here")
    if settings.points == "codes":
        wanted, advice = _CODES.get(method, (None, ""))
        if given.codes is None:
            problems.append(f"{given.name} holds no codes")
        elif wanted is None:
            problems.append("kmeans clusters vectors; take binary_kmeans or pqkmeans for codes")
        elif wanted != kind:
            problems.append(f"{method} clusters {wanted} codes, those of {given.name} are {kind}; {advice}")
    if settings.clusters == "auto" and method != "iqmeans":
        problems.append(f"-k auto belongs to iqmeans, got {method}; name a number of clusters")
    if settings.clusters != "auto" and settings.clusters > given.total:
        problems.append(
            f"-k must be at most the number of {given.noun}s, got {settings.clusters:,} clusters for {given.total:,}; "
            "ask for fewer clusters"
        )
    if problems:
        raise ConfigError(problems)


def _dimension(given: ClusterInput, settings: ClusterSettings) -> int:
    if settings.points == "vectors":
        return 0 if given.vectors is None else given.vectors.shape[1]
    return 0 if given.quantizer is None else given.quantizer.dimension


def _counted_cells(given: ClusterInput, settings: ClusterSettings) -> dict[str, int]:
    """How many cells the codes of IQ-means lie in, and their codewords; all of the grid would be far too many."""
    if settings.method != "iqmeans" or settings.points != "codes" or given.codes is None or given.quantizer is None:
        return {}
    space = Space(given.quantizer)
    return {"codewords": space.codewords, "cells": occupied_cells(given.codes(), space)}


def _usable(given: ClusterInput, settings: ClusterSettings, most: float) -> tuple[Any, NDArray[np.int64]]:
    """Points to cluster, and the numbers of those that cannot be: vectors with NaN, infinity, or without numbers."""
    if settings.points == "codes":
        assert given.codes is not None
        assert given.bits is not None
        return Coded(given.codes(), given.bits, given.quantizer), np.empty(0, np.int64)
    vectors = given.vectors
    assert vectors is not None
    skipped = np.empty(0, np.int64) if given.checked else _faulty(vectors)
    if not len(skipped):
        return vectors, skipped
    if len(skipped) > most * given.total:
        raise TooManyBadImagesError(
            f"{len(skipped):,} of {counted(given.total, given.noun)} of {given.name} are no finite vectors, the first "
            f"{skipped[0]}; above {most:.2%}: mend the file, or allow more: --max-bad-fraction"
        )
    logger.warning(
        "%s left out, the first %d: see %s", counted(len(skipped), "vector is", "vectors are"), skipped[0], SKIPPED
    )
    return _Chosen(vectors, np.setdiff1d(np.arange(given.total), skipped)), skipped


def _faulty(vectors: Rows) -> NDArray[np.int64]:
    progress, faulty = Progress("checked", len(vectors), noun="vectors"), [np.empty(0, np.int64)]
    for start in range(0, len(vectors), CHUNK):
        with np.errstate(over="ignore"):  # beyond float32 they become infinite
            rows = np.asarray(vectors[start : start + CHUNK], np.float32)
        with np.errstate(invalid="ignore"):
            faulty.append(start + np.flatnonzero(~(np.abs(rows) <= LARGEST_VALUE).all(axis=1)))
        progress.advance(len(rows))
    return np.concatenate(faulty)


def _whole(given: ClusterInput, clusters: Clusters, skipped: NDArray[np.int64]) -> ClusteredPoints:
    labels, distances = clusters.labels, clusters.distances
    if len(skipped):
        good = np.ones(given.total, np.bool_)
        good[skipped] = False
        labels, distances = np.full(given.total, -1, np.int32), np.full(given.total, np.nan, np.float32)
        labels[good], distances[good] = clusters.labels, clusters.distances
    numbers = cluster_numbers(labels, distances, len(clusters.centres), given.labels)
    return ClusteredPoints(clusters, labels, distances, skipped, numbers)


def _most_memory() -> int | None:
    """Bytes that this process has held at most; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 2**10
