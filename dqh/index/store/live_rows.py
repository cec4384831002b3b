"""The rows that a writer has, by what names them and by id."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dqh.index.store.rows import Box, Row, StoredRow
from dqh.index.store.version import Version

_BLOCK = 2**16


class Known(NamedTuple):
    """A row that the writer has: id, position among the rows of all segments, hash of its file, labels, object, score.

    The last two are of `Row`.
    """

    id: int
    position: int
    content_hash: bytes
    labels: tuple[str, ...]
    object: str | None = None
    score: float | None = None


Key = tuple[str, Box | None]


class LiveRows:
    """Rows that are not deleted, at first those of a version, if any; about 300 bytes each, 500 with a box."""

    def __init__(self, version: Version | None) -> None:
        self._known: dict[Key, Known] = {}
        self._keys: dict[int, Key] = {}
        self._boxes: dict[str, dict[Box, None]] = {}  # of each path, in the order in which they came
        self._labels: dict[tuple[str, ...], tuple[str, ...]] = {}  # one tuple for all rows that have the same
        self._names: dict[str | None, str | None] = {}  # one text for all objects of a class
        for start in range(0, 0 if version is None else len(version), _BLOCK):
            assert version is not None
            part = np.arange(start, min(start + _BLOCK, len(version)))
            for row, position in zip(version.rows(part), version.positions[part].tolist(), strict=True):
                self.put(row.id, row, position)

    def __iter__(self) -> Iterator[tuple[Key, Known]]:
        yield from self._known.items()

    def find(self, key: Key) -> Known | None:
        """The row of a path and a box."""
        return self._known.get(key)

    def objects(self, path: str) -> dict[Box, Known]:
        """The objects that a detector saw in an image, by their boxes."""
        parts = {box: self._known[path, box] for box in self._boxes.get(path, ())}
        return {box: known for box, known in parts.items() if known.object is not None}

    def has_image(self, path: str) -> bool:
        """Whether there is a row of an image: of all of it, or of a part."""
        return (path, None) in self._known or path in self._boxes

    def has(self, number: int) -> bool:
        """Whether there is a row of this id."""
        return number in self._keys

    def put(self, number: int, row: Row | StoredRow, position: int) -> None:
        """A row, in the place of the one of the same path and box where there is one."""
        labels = self._labels.setdefault(row.labels, row.labels)
        seen = self._names.setdefault(row.object, row.object)
        self._known[row.path, row.box] = Known(number, position, row.content_hash, labels, seen, row.score)
        self._keys[number] = (row.path, row.box)
        if row.box is not None:
            self._boxes.setdefault(row.path, {})[row.box] = None

    def remove(self, number: int) -> Known:
        """Take out the row of an id."""
        path, box = key = self._keys.pop(number)
        if box is not None:
            del self._boxes[path][box]
            if not self._boxes[path]:
                del self._boxes[path]
        return self._known.pop(key)
