"""Rows on their way into the segments of a version that is not published yet.

n rows, B bits a code, F feature dimensions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.index.store.manifest import SegmentEntry
from dqh.index.store.rows import Row, StoredRow
from dqh.index.store.segment import write_segment

_Waiting = tuple[NDArray[np.int64], Sequence[Row | StoredRow], NDArray[np.uint8], NDArray[np.float16]]


class Pending:
    """Collects rows and writes a segment, of a name that `name` gives, whenever there are `most` of them."""

    def __init__(self, path: Path, name: Callable[[], str], most: int) -> None:
        self.segments: list[SegmentEntry] = []
        self._path = path
        self._name = name
        self._most = most
        self._waiting: list[_Waiting] = []
        self._count = 0

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.segments or self._count)

    def put(
        self,
        ids: NDArray[np.int64],
        rows: Sequence[Row | StoredRow],
        codes: NDArray[np.uint8],
        features: NDArray[np.float16],
    ) -> None:
        """Take rows in their order: codes (n, ⌈B / 8⌉) uint8 are copied, features (n, F) float16 are kept."""
        start = 0
        while start < len(ids):
            part = slice(start, start + self._most - self._count)
            self._waiting.append((ids[part], rows[part], codes[part].copy(), features[part]))
            self._count += len(ids[part])
            start += len(ids[part])
            if self._count == self._most:
                self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if not self._count:
            return
        ids, rows, codes, features = zip(*self._waiting, strict=True)
        entry = write_segment(
            self._path,
            self._name(),
            ids=np.concatenate(ids),
            rows=[row for part in rows for row in part],
            codes=np.concatenate(codes),
            features=np.concatenate(features),
        )
        self.segments.append(entry)
        self._waiting, self._count = [], 0
