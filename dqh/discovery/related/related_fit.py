"""Related items are fitted: a log over an index becomes counts, positions are corrected, and rankers learn."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.collection.tagging import image_of
from dqh.discovery.related.action_log import UNKNOWN, ActionLog
from dqh.discovery.related.examination import Examination, fit_examination
from dqh.discovery.related.impressions import impressions_of
from dqh.discovery.related.lessons import Lessons, lessons_of
from dqh.discovery.related.log_counts import count_all
from dqh.discovery.related.looks import CATEGORY, VISUAL, Looks
from dqh.discovery.related.pair_features import COUNTS, FEATURES, index_features
from dqh.discovery.related.ranker import RANKERS, RankerName, fit_ranker, places_of
from dqh.discovery.related.related_model import Rankers, RelatedModel
from dqh.errors import ConfigError, DataError
from dqh.index.store.version import Version
from dqh.plural import counted

logger = logging.getLogger(__name__)

CUTOFF = 10
"""Places of a list that count where it is measured, at most; of short lists half of the places."""

LEAST_SAVES = 20
"""Of related items beside queries, to learn from."""

ROWS: Mapping[str, tuple[str, ...]] = {
    "visual features": VISUAL,
    "without visual features": (*CATEGORY, *COUNTS),
    "all features": FEATURES,
}
"""Rankers that are compared, and what each reads."""


class OfIndex(NamedTuple):
    """The part of a log that is about images of an index.

    Attributes:
        log: whose names are paths of the index.
        images: (I,) int64, number of the image of each name.
        unknown: names of the log that the index does not have, as the log has them.
        left_out: lines of shows and saves about these.
    """

    log: ActionLog
    images: NDArray[np.int64]
    unknown: tuple[str, ...]
    left_out: int


def of_index(log: ActionLog, file: Path, looks: Looks) -> OfIndex:
    """The part of a log that is about images of an index; a query that it does not have is taken for none.

    Raises:
        DataError: the index has none of its images.
    """
    numbers, root = looks.images.numbers, looks.version.manifest.root
    paths = [image_of(name, file, root, is_there=numbers.__contains__) for name in log.names]
    image = np.array([UNKNOWN if path is None else numbers[path] for path in paths], np.int64)
    if not (image >= 0).any():
        raise DataError(
            f"none of the {counted(len(paths), 'item')} of {file} is an image of the index, first {log.names[0]!r}; "
            f"name them relative to the folder of the log, absolute, or relative to the root {root or '/'}"
        )
    images, place = np.unique(image, return_inverse=True)
    known = images >= 0
    place = np.where(known[place], place - int((~known).sum()), UNKNOWN)
    kept = place[log.items] >= 0
    queries = np.where(log.queries == UNKNOWN, UNKNOWN, place[log.queries])
    columns: list[Any] = [log.users, place[log.items], queries, log.saved, log.times, log.positions, log.boards]
    users, items, queries, saved, times, positions, boards = (column[kept] for column in columns)
    part = replace(
        log,
        users=users,
        items=items,
        queries=queries,
        saved=saved,
        times=times,
        positions=positions,
        boards=boards,
        names=tuple(looks.images.paths[number] for number in images[known]),
    )
    unknown = tuple(name for name, path in zip(log.names, paths, strict=True) if path is None)
    return OfIndex(part, images[known], unknown, int((~kept).sum()))


def fit_related(
    version: Version,
    log: ActionLog,
    file: Path,
    *,
    ranker: RankerName = "ranksvm",
    power: float | None = None,
    measure: bool = True,
    seed: int = 0,
) -> RelatedModel:
    """Related items of an index by a log.

    Args:
        version: of the index.
        log: that was read.
        file: where it was read, by which its items are found in the index.
        ranker: of `RANKERS`.
        power: η of the examination of positions, position^−η; None to take it from the log.
        measure: whether to measure lists that a ranker has not seen, for which it is fitted six times more.
        seed: of what is drawn.

    Raises:
        ConfigError: there is no such ranker, or η is negative or not finite.
        DataError: the index has none of its items, or it says too little to learn from.
        DqhError: lightgbm is needed and not installed.
        StoreError: features of the index are damaged.
    """
    if ranker not in RANKERS:
        raise ConfigError(f"ranker must be one of {', '.join(RANKERS)}, got {ranker!r}")
    if power is not None and not 0 <= power <= 5:
        raise ConfigError(f"the power of the examination must be from 0 to 5, got {power}")
    looks = Looks(version)
    part = of_index(log, file, looks)
    shows = impressions_of(part.log)
    beside = shows.where(shows.queries != UNKNOWN)
    if (saves := int(beside.saved.sum())) < LEAST_SAVES:
        raise DataError(
            f"{file} has {counted(saves, 'save')} of items that were shown beside a query of the index, among "
            f"{counted(len(beside), 'such show')}, wanted at least {LEAST_SAVES}; give a longer log, with the column "
            "query"
        )
    examination = fit_examination(shows) if power is None else Examination(power, None, "as given")
    counts = count_all(part.log, shows, examination)

    def alike(query: int, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
        return index_features(looks, int(part.images[query]), part.images[candidates])

    lessons = lessons_of(part.log, shows, examination, looks=alike, seed=seed)
    try:
        rankers = Rankers(*(fit_ranker(ranker, lessons, columns, seed=seed) for columns in (FEATURES, VISUAL)))
        measured = measure_lists(lessons, ranker, seed=seed) if measure else {}
    except ValueError as error:
        raise DataError(f"{file} says too little to learn from: {error}") from error
    manifest = version.manifest
    told = {
        "name": file.name,
        "sha256": log.sha256,
        "lines": log.lines,
        "faults": len(log.faults),
        "others": log.others,
        "left_out": part.left_out,
        "items": len(part.images),
        "unknown_items": len(part.unknown),
        "users": len(np.unique(part.log.users)),
        "shows": len(shows),
        "queries": len(np.unique(beside.queries)),
        "saves": int(part.log.saved.sum()),
        "saves_of_related": saves,
    }
    ids = manifest.encoder_id, manifest.detector_id
    return RelatedModel(part.log.names, counts, ranker, rankers, examination, *ids, told, measured)


def measure_lists(lessons: Lessons, ranker: RankerName, *, seed: int = 0) -> dict[str, Any]:
    """How many saves the first places of lists would have, by rankers that saw other queries, against chance.

    Of each query of each fold of users the items that were shown are ranked, by counts of the other folds. What an item
    is worth is saves over expected views, which is right on average, wherever it was shown (Joachims et al. 2017). The
    lift is the worth of the first places, all lists together, over that of as many places of the same lists in any
    order.

    Args:
        lessons: of at least two queries.
        ranker: of `RANKERS`.
        seed: of the halves of the queries.

    Returns:
        `cutoff`, places that count; `queries` and `lists`; `lift`, by name: `popularity` (the rate of the item alone),
        `visual distance` (of features alone), and the rows of `ROWS`.
    """
    queries = np.unique(lessons.queries)
    items = int(max(lessons.queries.max(initial=0), lessons.items.max(initial=0))) + 1
    half = np.zeros(items, np.bool_)
    half[np.random.default_rng(seed).permutation(queries)[: len(queries) // 2]] = True
    scores = {
        "popularity": lessons.features[:, places_of(["item_rate"])[0]],
        "visual distance": -lessons.features[:, places_of(["feature_distance"])[0]],
    }
    for name, columns in ROWS.items():
        own = np.empty(len(lessons.queries))
        for held in (half, ~half):
            fitted = fit_ranker(ranker, lessons.of_queries(~held), columns, seed=seed)
            rows = held[lessons.queries]
            own[rows] = fitted.scores(lessons.features[rows][:, places_of(columns)])
        scores[name] = own
    worth = lessons.saves / lessons.views
    lists = np.split(np.arange(len(worth)), np.flatnonzero(np.diff(lessons.groups)) + 1)
    cutoff = int(max(1, min(CUTOFF, np.median([len(own) for own in lists]) // 2)))
    chance = sum(min(1.0, cutoff / len(own)) * float(worth[own].sum()) for own in lists)
    lift = {name: _first_places(score, worth, lists, cutoff) / chance for name, score in scores.items()}
    return {"cutoff": cutoff, "queries": len(queries), "lists": len(lists), "lift": lift}


def _first_places(
    scores: NDArray[np.float64], worth: NDArray[np.float64], lists: Sequence[NDArray[np.int64]], cutoff: int
) -> float:
    """What the first places of all lists are worth."""
    firsts = (own[np.argsort(-scores[own], kind="stable")[:cutoff]] for own in lists)
    return float(sum(worth[first].sum() for first in firsts))
