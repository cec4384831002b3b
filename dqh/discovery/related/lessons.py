"""What a ranker learns from: lists of related items as they were shown, with what was known of them before.

Users are split into folds. What was saved in one fold is learnt by counts of the others, so that no list is explained
by itself; served are the counts of all.

R pairs of a query and an item of one fold, V shows, C features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.action_log import UNKNOWN, ActionLog
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.impressions import Impressions
from dqh.discovery.related.item_rows import sums
from dqh.discovery.related.log_counts import LogCounts, count_log
from dqh.discovery.related.pair_features import count_features
from dqh.discovery.related.saved_together import groups_of

FOLDS = 4
MOST_PAIRS = 500_000
"""Pairs of query and item that are learnt from; of more, queries are drawn."""


class Lessons(NamedTuple):
    """Lists that were shown.

    Attributes:
        features: (R, C) float64, by `dqh.discovery.related.pair_features.FEATURES`.
        queries: (R,) int64, item of the log.
        items: (R,) int64, likewise.
        groups: (R,) int64, rising: pairs of one fold and query have one number.
        saves: (R,) float64.
        views: (R,) float64, expected views.
        squares: (R,) float64, the sum of the squared examination of its shows.
        rows: (V,) int64, the pair of each show, lists one after another.
        lists: (V,) int64, rising: shows of one list, to one user beside one query at one time, have one number.
        positions: (V,) int64, from 1; 0 where the log does not say.
        saved: (V,) bool.
    """

    features: NDArray[np.float64]
    queries: NDArray[np.int64]
    items: NDArray[np.int64]
    groups: NDArray[np.int64]
    saves: NDArray[np.float64]
    views: NDArray[np.float64]
    squares: NDArray[np.float64]
    rows: NDArray[np.int64]
    lists: NDArray[np.int64]
    positions: NDArray[np.int64]
    saved: NDArray[np.bool_]

    def of_queries(self, chosen: NDArray[np.bool_]) -> "Lessons":
        """Those of some queries, by a mask over items of the log."""
        kept = chosen[self.queries]
        place = np.cumsum(kept) - 1
        shows = kept[self.rows]
        pairs: list[Any] = [self.features, self.queries, self.items, self.groups, self.saves, self.views, self.squares]
        shown: list[Any] = [place[self.rows], self.lists, self.positions, self.saved]
        return Lessons(*(column[kept] for column in pairs), *(column[shows] for column in shown))


def lessons_of(
    log: ActionLog,
    shows: Impressions,
    examination: Examination,
    *,
    looks: Callable[[int, NDArray[np.int64]], NDArray[np.float64]],
    seed: int = 0,
    folds: int = FOLDS,
) -> Lessons:
    """The lessons of a log.

    Args:
        log: of items of an index alone.
        shows: of it.
        examination: of the places.
        looks: a query and candidates of the log (m,) → what they look like beside each other (m, c).
        seed: of the folds, and of the queries that are drawn.
        folds: at least 2.
    """
    items = len(log.names)
    generator = np.random.default_rng(seed)
    users = int(log.users.max(initial=-1)) + 1
    fold_of = np.arange(users) % folds
    fold_of = fold_of[generator.permutation(users)]
    shows = _drawn(shows.where(shows.queries != UNKNOWN), items, generator)
    seen = _looks_of(shows, items, looks)
    parts = []
    for fold in range(folds):
        here = fold_of == fold
        others = shows.where(~here[shows.users])
        counts = count_log(others, groups_of(log, ~here), examination, items=items)
        parts.append(_fold(shows.where(here[shows.users]), counts, examination, seen, items))
    return _joined(parts)


def _drawn(shows: Impressions, items: int, generator: np.random.Generator) -> Impressions:
    """Shows of all queries, or of so many, drawn, as have `MOST_PAIRS` pairs."""
    pairs = np.unique(shows.queries * items + shows.items)
    sizes = np.bincount(pairs // max(items, 1), minlength=items)
    order = generator.permutation(items)
    kept = np.zeros(items, np.bool_)
    kept[order[np.cumsum(sizes[order]) <= max(MOST_PAIRS, int(sizes[order[0]]) if items else 0)]] = True
    return shows.where(kept[shows.queries])


class _Seen(NamedTuple):
    """What pairs look like: keys, query · I + item, rising; and (n, c)."""

    keys: NDArray[np.int64]
    values: NDArray[np.float64]


def _looks_of(shows: Impressions, items: int, looks: Callable[[int, NDArray[np.int64]], NDArray[np.float64]]) -> _Seen:
    keys = np.unique(shows.queries * items + shows.items)
    queries, candidates = keys // max(items, 1), keys % max(items, 1)
    starts = np.flatnonzero(np.diff(queries, prepend=-1))
    values = [looks(int(queries[own[0]]), candidates[own]) for own in np.split(np.arange(len(keys)), starts[1:])]
    return _Seen(keys, np.concatenate(values))


def _fold(shows: Impressions, counts: LogCounts, examination: Examination, seen: _Seen, items: int) -> Lessons:
    keys, number = np.unique(shows.queries * items + shows.items, return_inverse=True)
    queries, candidates = keys // items, keys % items
    examined = examination.probability(shows.positions)
    rates = counts.item_rates
    starts = np.flatnonzero(np.diff(queries, prepend=-1))
    counted = [
        count_features(counts, rates, int(queries[own[0]]), candidates[own])
        for own in np.split(np.arange(len(keys)), starts[1:])
        if len(own)
    ]
    looked = seen.values[np.searchsorted(seen.keys, keys)]
    width = looked.shape[1] if looked.ndim == 2 else 0
    features = np.concatenate([looked.reshape(len(keys), width), np.concatenate([*counted, np.empty((0, 4))])], axis=1)
    order = np.lexsort((shows.positions, shows.times, shows.users, shows.queries))
    heads = np.stack([shows.queries, shows.users, shows.times])[:, order]
    lists = np.cumsum(np.any(np.diff(heads, axis=1, prepend=-1) != 0, axis=0)) - 1
    return Lessons(
        features,
        queries,
        candidates,
        np.unique(queries, return_inverse=True)[1].astype(np.int64),
        sums(number, shows.saved, len(keys)),
        sums(number, examined, len(keys)),
        sums(number, examined**2, len(keys)),
        number[order],
        lists.astype(np.int64),
        shows.positions[order],
        shows.saved[order],
    )


def _joined(parts: list[Lessons]) -> Lessons:
    """Lessons of folds one after another, with numbers of groups, pairs and lists of their own."""
    moved = []
    groups = rows = lists = 0
    for part in parts:
        moved.append(part._replace(groups=part.groups + groups, rows=part.rows + rows, lists=part.lists + lists))
        groups += int(part.groups.max(initial=-1)) + 1
        rows += len(part.queries)
        lists += int(part.lists.max(initial=-1)) + 1
    return Lessons(*(np.concatenate(columns) for columns in zip(*moved, strict=True)))
