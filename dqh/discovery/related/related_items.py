"""Related items of an item of an index: candidates by looks and by the log, ranked by what was fitted."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.collection.artifact_note import relative
from dqh.data.photos import located
from dqh.discovery.related.action_log import UNKNOWN
from dqh.discovery.related.looks import VISUAL, Looks
from dqh.discovery.related.pair_features import FEATURES, count_features, index_features
from dqh.discovery.related.related_model import RelatedModel
from dqh.errors import DataError, MismatchError
from dqh.index.store import Snapshot
from dqh.index.store.found import Among

NEIGHBOURS = 100
"""Candidates by visual search of whole images; half as many by the dominant object."""

BY_LOG, BY_LOOKS = "the log and looks", "looks alone"


class Propensity(NamedTuple):
    """Save propensity of an item, users who saved it of those who were shown it, with its 95 % interval."""

    saved_by: int
    shown_to: int
    value: float
    low: float
    high: float


class RelatedItem(NamedTuple):
    """A related item.

    Attributes:
        id: of its row in the index.
        path: relative to the root of the index.
        labels: of it.
        score: by which items are ordered; comparable within a query alone.
        sources: where it came from as a candidate: `visual`, `object`, `together` or `shown`.
        features: what is known of the pair, by the names of `dqh.discovery.related.pair_features.FEATURES`; only what
            was read for the score.
        propensity: None where the log has not shown it.
    """

    id: int
    path: str
    labels: tuple[str, ...]
    score: float
    sources: tuple[str, ...]
    features: dict[str, float]
    propensity: Propensity | None


@dataclass(frozen=True)
class RelatedAnswer:
    """Related items of one item.

    Attributes:
        path: of the item, relative to the root.
        id: of its row.
        items: the k best, best first; equal scores by distance of features.
        by: `BY_LOG`, or `BY_LOOKS` where the log does not have the item.
        candidates: how many were ranked.
        seconds: of each stage: candidates, features, ranking.
    """

    path: str
    id: int
    items: tuple[RelatedItem, ...]
    by: str
    candidates: int
    seconds: Mapping[str, float]


class RelatedItems:
    """Finds related items in one version of an index; threads may share it.

    A newer version of the index gets one of its own, which takes a second for a million rows; the model is read once.

    Args:
        model: that was fitted.
        index: that answers.

    Raises:
        MismatchError: the model is of another encoder, detector, or collection: the index has none of its items.
    """

    def __init__(self, model: RelatedModel, index: Snapshot) -> None:
        model.require(index.version.path, index.version.manifest)
        self.model, self.index, self.looks = model, index, Looks(index.version)
        numbers = self.looks.images.numbers
        self._items = np.full(len(numbers), UNKNOWN, np.int64)
        self._images = np.array([numbers.get(path, UNKNOWN) for path in model.paths], np.int64)
        known = np.flatnonzero(self._images >= 0)
        if len(model.paths) and not len(known):
            raise MismatchError(
                f"{index.version.path} has none of the {len(model.paths):,} items of {model.log['name']}, such as "
                f"{model.paths[0]!r}; name the index that related items were fitted to, or fit anew: "
                "dqh related INDEX --log LOG --fit OUT"
            )
        self._items[self._images[known]] = known
        self.missing = len(model.paths) - len(known)
        self._rates = model.counts.item_rates
        self._propensity = model.counts.propensity

    def image(self, item: str | int) -> int:
        """Number of an image: by the path that the index has, as a file, or by the id of its row.

        Raises:
            DataError: the index has no such item; the nearest paths are told.
        """
        images, version = self.looks.images, self.index.version
        if isinstance(item, int):
            row = version.row_of(item)
            if row is None:
                raise DataError(f"the index has no row {item}; name an image by its path")
            return images.numbers[version.rows(np.array([row]))[0].path]
        for path in (item, relative(located(item), version.manifest.root), located(item)):
            if path in images.numbers:
                return images.numbers[path]
        near = get_close_matches(item, images.paths[:_LOOKED_AT], 1)
        raise DataError(
            f"the index has no image {item!r}"
            + (f"; did you mean {near[0]!r}?" if near else "")
            + "; name one by the path that the index has, or as a file: dqh search finds photos from elsewhere"
        )

    def related(self, item: str | int, *, k: int = 10) -> RelatedAnswer:
        """The k best related items of an item.

        Args:
            item: path as the index has it, a file, or the id of a row.
            k: at least 1.

        Raises:
            DataError: the index has no such item.
            StoreError: features of a candidate are damaged.
            ValueError: k is below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        marks = [time.perf_counter()]
        image = self.image(item)
        query = int(self._items[image])
        sources = self._candidates(image, query, most=max(k, NEIGHBOURS))
        candidates = np.array(sorted(sources), np.int64)
        marks.append(time.perf_counter())
        features, columns = self._features(image, query, candidates)
        marks.append(time.perf_counter())
        by_log = query != UNKNOWN
        ranker = self.model.rankers.all if by_log else self.model.rankers.looks
        scores = ranker.scores(features)
        order = np.lexsort((features[:, columns.index("feature_distance")], -scores))[:k]
        items = self._told(candidates[order], features[order], scores[order], sources, columns)
        marks.append(time.perf_counter())
        names = ("candidates", "features", "ranking")
        seconds = {name: after - before for name, (before, after) in zip(names, pairwise(marks), strict=True)}
        images = self.looks.images
        number = int(self.index.version.ids[images.rows[image]])
        by = BY_LOG if by_log else BY_LOOKS
        return RelatedAnswer(images.paths[image], number, items, by, len(candidates), seconds)

    def _candidates(self, image: int, query: int, *, most: int) -> dict[int, tuple[str, ...]]:
        """Images, each with where it came from."""
        sources: dict[int, tuple[str, ...]] = {}
        searches: list[tuple[str, int, int, Among]] = [
            ("visual", int(self.looks.images.rows[image]), most + 1, "images")
        ]
        if (chief := self.looks.dominant(image)) is not None:
            searches.append(("object", chief, most // 2 + 1, "objects"))
        for source, row, count, among in searches:
            answer = self.index.search(self.index.version.encoded(row), k=min(count, len(self.index)), among=among)
            for hit in answer.hits[0]:
                other = self.looks.images.numbers[hit.path]
                if source not in sources.get(other, ()):
                    sources[other] = (*sources.get(other, ()), source)
        counts = self.model.counts
        for source, rows in (("together", counts.together), ("shown", counts.beside)):
            columns, values = rows.row(query)
            for other in self._images[columns[values[:, 0] > 0]].tolist():
                if other >= 0:
                    sources[other] = (*sources.get(other, ()), source)
        sources.pop(image, None)
        return sources

    def _features(
        self, image: int, query: int, candidates: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        """Features of candidates, and their names: all of them, or `VISUAL` where the log does not have the item."""
        if not len(candidates):
            columns = FEATURES if query != UNKNOWN else VISUAL
            return np.empty((0, len(columns))), columns
        if query == UNKNOWN:
            return self.looks.distances(image, candidates), VISUAL
        counted = count_features(self.model.counts, self._rates, query, self._items[candidates])
        return np.concatenate([index_features(self.looks, image, candidates), counted], axis=1), FEATURES

    def _told(
        self,
        images: NDArray[np.int64],
        features: NDArray[np.float64],
        scores: NDArray[np.float64],
        sources: Mapping[int, tuple[str, ...]],
        columns: tuple[str, ...],
    ) -> tuple[RelatedItem, ...]:
        known = self.index.version.rows(self.looks.images.rows[images])
        return tuple(
            RelatedItem(
                row.id,
                row.path,
                row.labels,
                score,
                sources[image],
                dict(zip(columns, values, strict=True)),
                self._propensity_of(int(self._items[image])),
            )
            for row, image, score, values in zip(
                known, images.tolist(), scores.tolist(), features.tolist(), strict=True
            )
        )

    def _propensity_of(self, item: int) -> Propensity | None:
        if item < 0 or not self.model.counts.shown_to[item]:
            return None
        counts = self.model.counts
        ends = (float(part[item]) for part in self._propensity)
        return Propensity(int(counts.saved_by[item]), int(counts.shown_to[item]), *ends)


_LOOKED_AT = 20_000
"""Paths among which the one nearest to an unknown one is sought."""


def open_related(model: str | Path | RelatedModel, index: str | Path | Snapshot) -> RelatedItems:
    """Related items over an index, both open or where they are.

    Raises:
        NoArtifactError: there is no model.
        ArtifactError: it is damaged.
        NoStoreError: there is no index.
        StoreError: it is damaged.
        MismatchError: they do not belong together.
    """
    from dqh.discovery.related.related_model import read_related
    from dqh.index.store import open_index

    fitted = model if isinstance(model, RelatedModel) else read_related(model)
    return RelatedItems(fitted, index if isinstance(index, Snapshot) else open_index(index))
