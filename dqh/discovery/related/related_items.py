"""Related items of an item of an index: candidates by looks and by the log, ranked by what was fitted."""

import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.collection.artifact_note import relative
from dqh.counts import require_counts
from dqh.data.photo_files import located
from dqh.discovery.related.action_log import UNKNOWN
from dqh.discovery.related.looks import VISUAL, Look, Looks
from dqh.discovery.related.pair_features import FEATURES, count_features
from dqh.discovery.related.related_answer import BY_LOG, BY_LOOKS, Propensity, RelatedAnswer, RelatedItem
from dqh.discovery.related.related_model import RelatedModel
from dqh.discovery.understanding import SeenObject, dominant_object
from dqh.encoded import Encoded
from dqh.errors import DataError, MismatchError
from dqh.index.store import Snapshot
from dqh.index.store.found import Among

NEIGHBOURS = 100
"""Candidates by visual search of whole images; half as many by the dominant object."""


class _Query(NamedTuple):
    """What is asked by.

    Attributes:
        image: its number; `UNKNOWN` of one that the index does not have.
        item: its number in the log; `UNKNOWN` likewise.
        look: how it looks.
        whole: as it is searched by.
        chief: likewise, the object that it is about; None for none.
    """

    image: int
    item: int
    look: Look
    whole: Encoded
    chief: Encoded | None


class RelatedItems:
    """Finds related items in one version of an index; threads may share it.

    A newer version of the index gets one of its own, which takes a second for a million rows; the model is read once.

    Args:
        model: that was fitted.
        index: that answers.

    Attributes:
        model: as given.
        index: as given.
        looks: of the version of the index.
        missing: how many items of the log the index does not have.

    Raises:
        MismatchError: the model is of another encoder or detector.
    """

    def __init__(self, model: RelatedModel, index: Snapshot) -> None:
        model.require(index.version.path, index.version.manifest)
        self.model, self.index, self.looks = model, index, Looks(index.version)
        numbers = self.looks.images.numbers
        self._items = np.full(len(numbers), UNKNOWN, np.int64)
        self._images = np.array([numbers.get(path, UNKNOWN) for path in model.paths], np.int64)
        known = np.flatnonzero(self._images >= 0)
        self._items[self._images[known]] = known
        self.missing = len(model.paths) - len(known)
        self._rates = model.counts.item_rates
        self._propensity = model.counts.propensity

    def require_items(self) -> None:
        """Raise `MismatchError` where the index has none of the items of the log: it is of another collection."""
        model = self.model
        if model.paths and self.missing == len(model.paths):
            raise MismatchError(
                f"{self.index.version.path} has none of the {len(model.paths):,} items of {model.log['name']}, such as "
                f"{model.paths[0]!r}; name the index that related items were fitted to, or fit anew: "
                "dqh related INDEX --log LOG --fit OUT"
            )

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
        began = time.perf_counter()
        image = self.image(item)
        version, look = self.index.version, self.looks.look(image)
        chief = None if look.dominant is None else int(self.looks.images.parts(image)[look.dominant])
        query = _Query(
            image,
            int(self._items[image]),
            look,
            version.encoded(int(self.looks.images.rows[image])),
            None if chief is None else version.encoded(chief),
        )
        return self._answer(query, k, began)

    def related_to(self, encoded: Encoded, objects: Sequence[SeenObject] = (), *, k: int = 10) -> RelatedAnswer:
        """The k best related items of an image that the index does not have, by what it looks like alone.

        Args:
            encoded: 1 + d queries, of the encoder of the index: the whole image, then each of its objects.
            objects: d, as the detector of the index sees them; none where the index has no objects.
            k: at least 1.

        Raises:
            StoreError: features of a candidate are damaged.
            ValueError: k is below 1.
        """
        began = time.perf_counter()
        features = encoded.features.astype(np.float16).astype(np.float32)  # as those of the index are kept
        chief = dominant_object(tuple(objects), self.looks.rule)
        place = next((number for number, seen in enumerate(objects) if seen is chief), None)
        look = Look(encoded.codes[:1], features[:1], features[1:] if objects else features, place)
        own = None if place is None else encoded.part(place + 1, place + 2)
        return self._answer(_Query(UNKNOWN, UNKNOWN, look, encoded.part(0, 1), own), k, began)

    def _answer(self, query: _Query, k: int, began: float) -> RelatedAnswer:
        require_counts(k=k)
        sources = self._candidates(query, most=max(k, NEIGHBOURS))
        candidates = np.array(sorted(sources), np.int64)
        marks = [began, time.perf_counter()]
        features, columns = self._features(query, candidates)
        marks.append(time.perf_counter())
        by_log = query.item != UNKNOWN
        ranker = self.model.rankers.all if by_log else self.model.rankers.looks
        scores = ranker.scores(features)
        order = np.lexsort((features[:, columns.index("feature_distance")], -scores))[:k]
        items = self._told(candidates[order], features[order], scores[order], sources, columns)
        marks.append(time.perf_counter())
        names = ("candidates", "features", "ranking")
        seconds = {name: after - before for name, (before, after) in zip(names, pairwise(marks), strict=True)}
        images, by = self.looks.images, BY_LOG if by_log else BY_LOOKS
        path, number = "", None
        if query.image != UNKNOWN:
            path, number = images.paths[query.image], int(self.index.version.ids[images.rows[query.image]])
        return RelatedAnswer(path, number, items, by, len(candidates), seconds)

    def _candidates(self, query: _Query, *, most: int) -> dict[int, tuple[str, ...]]:
        """Images, each with where it came from."""
        sources: dict[int, tuple[str, ...]] = {}
        searches: list[tuple[str, Encoded, int, Among]] = [("visual", query.whole, most + 1, "images")]
        if query.chief is not None and len(self.looks.images.objects):
            searches.append(("object", query.chief, most // 2 + 1, "objects"))
        for source, encoded, count, among in searches:
            answer = self.index.search(encoded, k=min(count, max(1, len(self.index))), among=among)
            for hit in answer.hits[0]:
                other = self.looks.images.numbers[hit.path]
                if source not in sources.get(other, ()):
                    sources[other] = (*sources.get(other, ()), source)
        counts = self.model.counts
        for source, rows in (("together", counts.together), ("shown", counts.beside)):
            columns, values = rows.row(query.item)
            for other in self._images[columns[values[:, 0] > 0]].tolist():
                if other >= 0:
                    sources[other] = (*sources.get(other, ()), source)
        sources.pop(query.image, None)
        return sources

    def _features(self, query: _Query, candidates: NDArray[np.int64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        """Features of candidates, and their names: all of them, or `VISUAL` where the log does not have the item."""
        columns = VISUAL if query.item == UNKNOWN else FEATURES
        if not len(candidates):
            return np.empty((0, len(columns))), columns
        looks = self.looks.distances(query.look, candidates)
        if query.item == UNKNOWN:
            return looks, columns
        categories = self.looks.categories(query.image, candidates)
        counted = count_features(self.model.counts, self._rates, query.item, self._items[candidates])
        return np.concatenate([looks, categories, counted], axis=1), columns

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
    items = RelatedItems(fitted, index if isinstance(index, Snapshot) else open_index(index))
    items.require_items()
    return items
