"""What the images of an index look like beside each other: distances by codes, by features, by the objects in them.

M images of a version, m candidates of a query, F feature dimensions.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.codes import hamming
from dqh.collection.artifact_note import absolute
from dqh.data.images import ImageFiles, Limits
from dqh.discovery.understanding import Dominance, SeenObject, dominant_object
from dqh.errors import BadImageError
from dqh.index.store.rows import StoredRow, to_text
from dqh.index.store.version import Version

VISUAL = ("code_distance", "feature_distance", "object_distance", "dominant_distance")
"""Of a candidate, the smaller the more alike.

- `code_distance`: between the codes of the whole images, bits, or the L2 distance between what they stand for.
- `feature_distance`: L2 between their features.
- `object_distance`: between the features of the nearest two of their objects; an image without any is one itself.
- `dominant_distance`: the same from the dominant object of the query alone; 0 of all candidates where it has none, so
  that it counts where one is there, beside the former.
"""

CATEGORY = ("same_labels", "same_objects")
"""Shares of the labels, and of the classes of the objects, that two images have in common, of all that either has."""


class Images(NamedTuple):
    """The images of a version, by number.

    Attributes:
        paths: M, as the index has them.
        numbers: path → number.
        rows: (M,) int64, row of the whole image, or its first row where it has none.
        starts: (M + 1,) int64, of the objects of each image in `objects`.
        objects: rows of objects, image by image.
    """

    paths: tuple[str, ...]
    numbers: dict[str, int]
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    objects: NDArray[np.int64]

    def parts(self, image: int) -> NDArray[np.int64]:
        """The rows of the objects of an image; its own where it has none."""
        own = self.objects[self.starts[image] : self.starts[image + 1]]
        return own if len(own) else self.rows[image : image + 1]


def images_of(version: Version) -> Images:
    """The images of a version; some 200 bytes each."""
    count = len(version)
    if not count:
        empty = np.empty(0, np.int64)
        return Images((), {}, empty, np.zeros(1, np.int64), empty)
    rows = np.arange(count)
    encoded = version.column("path", rows).dictionary_encode()
    image = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
    paths = tuple(map(to_text, encoded.dictionary.to_pylist()))
    is_part = version.column("box", rows).is_valid().to_numpy(zero_copy_only=False)
    order = np.lexsort((rows, is_part, image))
    first = order[np.searchsorted(image[order], np.arange(len(paths)))]
    objects = np.flatnonzero(version.objects)
    objects = objects[np.argsort(image[objects], kind="stable")]
    starts = np.searchsorted(image[objects], np.arange(len(paths) + 1))
    return Images(paths, {path: number for number, path in enumerate(paths)}, first, starts, objects)


class Look(NamedTuple):
    """What a query looks like, an image of the index or one from elsewhere.

    Attributes:
        codes: (1, ⌈B / 8⌉) uint8, of the whole image.
        whole: (1, F) float32, its features.
        parts: (p, F) float32, features of its objects; of the whole image where it has none.
        dominant: place in `parts` of the object that the image is about; None for none.
    """

    codes: NDArray[np.uint8]
    whole: NDArray[np.float32]
    parts: NDArray[np.float32]
    dominant: int | None


class Looks:
    """Compares images of a version. Threads may share it.

    Args:
        version: of an index.
        dominance: when an object is the one that an image is about.

    Attributes:
        version: as given.
        rule: as `dominance`.
    """

    def __init__(self, version: Version, *, dominance: Dominance | None = None) -> None:
        self.version = version
        self.rule = dominance or Dominance()

    @cached_property
    def images(self) -> Images:
        """Those of the version."""
        return images_of(self.version)

    def look(self, image: int) -> Look:
        """What an image of the version looks like; `StoreError` where its features are damaged."""
        row, parts = self.images.rows[image : image + 1], self.images.parts(image)
        features = self.version.read_features(np.concatenate([row, parts])).astype(np.float32)
        chief = self.dominant(image)
        place = None if chief is None else int(np.flatnonzero(parts == chief)[0])
        return Look(self.version.codes(row), features[:1], features[1:], place)

    def distances(self, query: int | Look, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m, 4) float64, the columns of `VISUAL`; `StoreError` where features are damaged."""
        look = self.look(query) if isinstance(query, int) else query
        images = self.images
        rows = images.rows[candidates]
        parts = [images.parts(image) for image in candidates.tolist()]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        unique, place = np.unique(np.concatenate([rows, *parts]), return_inverse=True)
        features = self.version.read_features(unique).astype(np.float32)[place]
        whole, of_parts = np.split(features, [len(rows)])
        between = _l2(look.parts, of_parts)
        nearest = np.full(len(parts), np.inf)
        np.minimum.at(nearest, owner, between.min(axis=0))
        dominant = np.zeros(len(parts))
        if look.dominant is not None:
            dominant[:] = np.inf
            np.minimum.at(dominant, owner, between[look.dominant])
        codes = self._code_distances(np.concatenate([look.codes, self.version.codes(rows)]))
        return np.stack([codes, _l2(look.whole, whole)[0], nearest, dominant], axis=1)

    def dominant(self, image: int) -> int | None:
        """The row of the object that an image is about; None where there is no such object.

        Where the photo cannot be read any more, all that its objects cover stands for it.
        """
        images = self.images
        rows = images.objects[images.starts[image] : images.starts[image + 1]]
        if not len(rows):
            return None
        known = self.version.rows(rows)
        area = self._area(images.paths[image], known)
        seen = {}
        for row, stored in zip(rows.tolist(), known, strict=True):
            assert stored.box is not None
            x0, y0, x1, y1 = stored.box
            seen[row] = SeenObject(stored.object, stored.score, stored.box, min(1.0, (x1 - x0) * (y1 - y0) / area))
        chief = dominant_object(tuple(seen.values()), self.rule)
        return next((row for row, one in seen.items() if one is chief), None)

    def categories(self, query: int, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m, 2) float64, the columns of `CATEGORY`; 0 where neither image has any."""
        images = self.images
        chosen = np.concatenate([[query], candidates]).astype(np.int64)
        labels = [frozenset(row.labels) for row in self.version.rows(images.rows[chosen])]
        spans = [images.objects[images.starts[image] : images.starts[image + 1]] for image in chosen]
        flat = np.concatenate([*spans, np.empty(0, np.int64)])
        kinds = self.version.column("object", flat).to_pylist() if len(flat) else []
        ends = np.cumsum([len(span) for span in spans])
        objects = [frozenset(kinds[end - len(span) : end]) for span, end in zip(spans, ends, strict=True)]
        columns = [[_shared(sets[0], other) for other in sets[1:]] for sets in (labels, objects)]
        return np.array(columns, np.float64).reshape(2, len(candidates)).T

    def _code_distances(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(m,) from the first code to the others."""
        quantizer = self.version.quantizer
        if "hamming" in quantizer.distances:
            return np.asarray(hamming(codes[:1], codes[1:])[0], np.float64)
        decoded = quantizer.decode(codes)
        return np.asarray(_l2(decoded[:1], decoded[1:])[0])

    def _area(self, path: str, objects: list[StoredRow]) -> float:
        try:
            whole = absolute(path, self.version.manifest.root)
            width, height = ImageFiles(Path(os.sep), Limits()).upright_size(whole)
        except (BadImageError, OSError, ValueError):
            corners = np.array([row.box for row in objects])
            width, height = corners[:, 2].max(), corners[:, 3].max()
        return float(width) * float(height)


def _l2(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """(a, b) distances between rows (a, D) and (b, D)."""
    left, right = one.astype(np.float64), other.astype(np.float64)
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    return np.asarray(np.sqrt(squared.clip(min=0)))


def _shared(one: frozenset[object], other: frozenset[object]) -> float:
    """Jaccard's share of two sets; 0 where both are empty."""
    return len(one & other) / len(one | other) if one or other else 0.0
