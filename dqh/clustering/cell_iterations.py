"""Assignment and update of centres in turns, on cells, until nothing changes; points are not touched.

N points of D dimensions, n cells with points, k centres.
"""

import logging
from functools import partial
from types import ModuleType
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_assignment import assign_exactly, assign_inverted, distances_of, labels_of
from dqh.clustering.cell_points import Points
from dqh.clustering.cluster_means import cluster_means
from dqh.clustering.overlap import kept_centres, nearest_centres, owners_on_trails
from dqh.clustering.relocation import CELLS_A_CENTRE, MOST_PAIRS, passes_by_means
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.native import cell_kernels
from dqh.native.cell_kernels import NOBODY
from dqh.plural import counted

logger = logging.getLogger(__name__)

EXACT_PAIRS = 4 * 10**9
"""Pairs of a cell and a centre up to which all are compared: about half a second an iteration of one core."""

EXACT_CELLS = 2**20
"""Cells up to which a centre is compared with all of them in less time than it walks."""

STAGE = "iterations"
"""Of checkpoints."""

FINAL_PAIRS = 2 * 10**11
"""Pairs up to which all cells are compared with all centres at the end: about half a minute of one core."""

LAST_WINDOW, LAST_TARGET = 4, 2
"""How many times as wide and as long as in iterations the last walk is, which labels more cells than that.

On 100 million codes of window 256 and target 20 it left 5 % of the points to a comparison with all centres in the place
of 13 %, and a distortion .7 % above that of comparing all cells, for a seventh of its time.
"""

STEPS = 32
"""Cells of a walk, drawn as if by chance, whose other owners are the neighbours of a centre."""

Assignment = Literal["auto", "inverted", "exact"]
ASSIGNMENTS: tuple[str, ...] = get_args(Assignment)


class Settings(Protocol):
    """What `IQMeans` is told, see there."""

    window: int
    target: float
    iterations: int
    tolerance: float
    assignment: Assignment
    reset: bool
    overlap: float
    mean_passes: int
    seed: int


class Iteration(NamedTuple):
    """One iteration.

    Attributes:
        clusters: number of centres that took part.
        unvisited: part of the points in cells that no centre came by, 0 to 1.
        distortion: mean squared distance of the codewords of the other points to their centres.
    """

    clusters: int
    unvisited: float
    distortion: float


class CellClusters(NamedTuple):
    """What the iterations end with.

    Attributes:
        centres: (k, D) float32, in the space of the cells.
        labels: (n,) int32, the centre of each cell with points.
        populations: (k,) int64, points of each centre; 0 where it has none.
        distortion: mean squared distance of the points to their centres; of their codewords where there are no vectors.
        history: of the iterations.
        unvisited: part of the points whose cells no centre came by at last; they went to the nearest one.
    """

    centres: NDArray[np.float32]
    labels: NDArray[np.int32]
    populations: NDArray[np.int64]
    distortion: float
    history: list[Iteration]
    unvisited: float


def iterate(
    points: Points,
    centres: NDArray[np.float32],
    *,
    settings: Settings,
    dynamic: bool,
    native: ModuleType,
    checkpoints: Checkpoints = KEEP_NOTHING,
) -> CellClusters:
    """Move centres (k, D) until their cells stay the same, or as often as the settings say, and assign all cells.

    With `dynamic`, centres that overlap a larger one are purged after each update. Behind them come the passes by
    means of cells, where there are any. The stage `iterations` of the checkpoints has what is done.
    """
    centres, keys, history, passes = _begun(points, centres, checkpoints)
    last = None if (keys == NOBODY).all() else labels_of(keys)  # at the start, and after a purge
    for number in range(len(history), 0 if passes else settings.iterations):
        if number:
            checkpoints.offer(STAGE, partial(_state, centres, keys, history))
        trail = _assign(points, centres, keys, settings, steps=STEPS * dynamic, native=native)
        labels = labels_of(keys)
        history.append(_told(points, keys, labels, len(centres)))
        logger.info("iteration %d of %d at most: %s", number + 1, settings.iterations, _shown(history[-1]))
        sums, populations = _sums(points, labels, len(centres), native)
        centres = cluster_means(centres, sums, populations)
        if not dynamic:
            _replace_empty(centres, populations, points, keys)
        else:
            kept = _kept(points, keys, labels, centres, populations, trail, settings)
            if not kept.all():
                centres, last = centres[kept], None
                keys.fill(NOBODY)
                continue
        if _has_ended(labels, last, history, settings.tolerance):
            break
        last = labels
    if (cells := points.mean_cells) is not None and settings.mean_passes:
        centres = passes_by_means(
            cells,
            centres,
            passes=settings.mean_passes,
            done=passes,
            relocating=not dynamic,  # where there are as many as asked for
            seed=settings.seed,
            native=native,
            offer=lambda now, done: checkpoints.offer(STAGE, partial(_state, now, keys, history, done)),
        )
        keys.fill(NOBODY)  # whom cells remember is elsewhere now
    return _ended(points, centres, keys, settings, history, native)


def _begun(
    points: Points, centres: NDArray[np.float32], checkpoints: Checkpoints
) -> tuple[NDArray[np.float32], NDArray[np.uint64], list[Iteration], int]:
    """Centres, keys, history and the number of passes by means to go on from."""
    state = checkpoints.load(STAGE)
    if state is None:
        return centres, np.full(len(points.grid.numbers), NOBODY, np.uint64), [], 0
    history = [Iteration(int(clusters), *parts) for clusters, *parts in state["history"].tolist()]
    return state["centres"], state["keys"], history, int(state.get("passes", 0))


def _state(
    centres: NDArray[np.float32], keys: NDArray[np.uint64], history: list[Iteration], passes: int = 0
) -> dict[str, NDArray[np.generic]]:
    return {"centres": centres, "keys": keys, "history": np.array(history, np.float64), "passes": np.array(passes)}


def _shown(iteration: Iteration) -> str:
    unvisited = f", {iteration.unvisited:.1%} of the points unvisited" * (iteration.unvisited > 0)
    return f"{counted(iteration.clusters, 'cluster')}, distortion of cells {iteration.distortion:.6g}{unvisited}"


def _is_exact(points: Points, centres: NDArray[np.float32], settings: Settings) -> bool:
    cells = len(points.grid.numbers)
    is_small = cells <= EXACT_CELLS or cells * len(centres) <= EXACT_PAIRS
    return settings.assignment == "exact" or (settings.assignment == "auto" and is_small)


def _assign(
    points: Points,
    centres: NDArray[np.float32],
    keys: NDArray[np.uint64],
    settings: Settings,
    *,
    steps: int,
    native: ModuleType,
    is_last: bool = False,
) -> NDArray[np.int32] | None:
    """Lower the keys, and return cells of the walks where centres walk."""
    if settings.reset:
        keys.fill(NOBODY)
    if _is_exact(points, centres, settings):
        assign_exactly(points.space, points.grid.numbers, centres, keys=keys, native=native)
        return None
    return assign_inverted(
        points.space,
        points.grid,
        centres,
        window=min(LAST_WINDOW**is_last * settings.window, points.space.codewords),
        target=max(1, round(LAST_TARGET**is_last * settings.target * len(points.cells) / len(centres))),
        keys=keys,
        steps=steps,
        native=native,
    )


def _told(points: Points, keys: NDArray[np.uint64], labels: NDArray[np.int32], clusters: int) -> Iteration:
    visited = labels >= 0
    weights = points.grid.populations[visited].astype(np.float64)
    total = float(weights.sum())
    distortion = float(weights @ distances_of(keys[visited])) / max(total, 1.0)
    return Iteration(clusters, max(0.0, 1 - total / len(points.cells)), distortion)


def _sums(
    points: Points, labels: NDArray[np.int32], clusters: int, native: ModuleType
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums (k, D) of the points of each centre, and their numbers (k,)."""
    if (cells := points.mean_cells) is not None:
        return cells.sums(labels, clusters, native)
    members = cell_kernels.group(labels, clusters, native=native)
    sums = cell_kernels.codeword_sums(members, points.grid, points.space.codebooks, native=native)
    visited = labels >= 0
    populations = np.bincount(labels[visited], weights=points.grid.populations[visited], minlength=clusters)
    return sums, populations.astype(np.int64)


def _replace_empty(
    centres: NDArray[np.float32], populations: NDArray[np.int64], points: Points, keys: NDArray[np.uint64]
) -> None:
    """Put centres without points on the cells that lie worst, by the distances of all of their points."""
    empty = np.flatnonzero(populations == 0)
    if not len(empty):
        return
    errors = np.where(keys == NOBODY, 0.0, points.grid.populations * distances_of(keys).astype(np.float64))
    worst = np.argpartition(-errors, len(empty) - 1)[: len(empty)]
    worst = np.sort(worst[errors[worst] > 0])
    centres[empty[: len(worst)]] = points.space.middles(points.grid.numbers[worst])


def _kept(
    points: Points,
    keys: NDArray[np.uint64],
    labels: NDArray[np.int32],
    centres: NDArray[np.float32],
    populations: NDArray[np.int64],
    trail: NDArray[np.int32] | None,
    settings: Settings,
) -> NDArray[np.bool_]:
    """Which centres are not purged."""
    visited = labels >= 0
    weights = points.grid.populations[visited] * distances_of(keys[visited]).astype(np.float64)
    spreads = np.bincount(labels[visited], weights=weights, minlength=len(centres)) / np.maximum(populations, 1)
    spreads += points.loss  # what the codewords do not tell of the points
    near = nearest_centres(centres) if trail is None else owners_on_trails(trail, labels)
    return kept_centres(centres, populations, spreads, near, overlap=settings.overlap)


def _has_ended(
    labels: NDArray[np.int32], last: NDArray[np.int32] | None, history: list[Iteration], tolerance: float
) -> bool:
    """Whether cells stay with their centres, or the distortion hardly falls any more."""
    if last is None:
        return False
    if np.array_equal(labels, last):
        return True
    before, now = history[-2], history[-1]
    return abs(before.distortion - now.distortion) < tolerance * before.distortion


def _ended(
    points: Points,
    centres: NDArray[np.float32],
    keys: NDArray[np.uint64],
    settings: Settings,
    history: list[Iteration],
    native: ModuleType,
) -> CellClusters:
    """All cells assigned to the nearest centre, or, where they are too many, those that no centre comes by."""
    cells, unvisited = points.mean_cells, history[-1].unvisited
    compared = cells if settings.mean_passes and len(keys) * len(centres) <= MOST_PAIRS else None
    if compared is not None:
        labels = compared.nearest(centres)[0]
    else:
        unvisited = _last_assignment(points, centres, keys, settings, unvisited, native)
        labels = labels_of(keys)
    sums, populations = _sums(points, labels, len(centres), native)
    if compared is not None and len(keys) > CELLS_A_CENTRE * len(centres):
        centres = cluster_means(centres, sums, populations)  # so far they are the means of drawn cells alone
    if points.square is not None and cells is not None:
        # Σ |x - c|^2 = Σ |x|^2 - 2 Σ s·c + Σ n |c|^2, s and n the sum and the number of the points of a centre
        wide = centres.astype(np.float64)
        total = points.square - 2 * (sums * wide).sum() + (populations * (wide**2).sum(axis=1)).sum()
        distortion = max(0.0, float(total) / len(points.cells))
    else:
        distortion = _told(points, keys, labels, len(centres)).distortion
    return CellClusters(centres, labels, populations, distortion, history, unvisited)


def _last_assignment(
    points: Points,
    centres: NDArray[np.float32],
    keys: NDArray[np.uint64],
    settings: Settings,
    unvisited: float,
    native: ModuleType,
) -> float:
    """Fill the keys by codewords, and return which part of the points no centre came by."""
    if settings.reset and len(keys) * len(centres) <= FINAL_PAIRS:
        left = np.arange(len(keys))
        keys.fill(NOBODY)
    else:
        _assign(points, centres, keys, settings, steps=0, native=native, is_last=True)
        left = np.flatnonzero(keys == NOBODY)
        unvisited = float(points.grid.populations[left].sum(dtype=np.int64) / len(points.cells))
    if len(left):
        rest = keys[left]
        assign_exactly(points.space, points.grid.numbers[left], centres, keys=rest, native=native)
        keys[left] = rest
    return unvisited
