"""Rows on their way into the segments of a version that is not published yet.

n rows, B bits a code, F feature dimensions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.codes import require_packed
from dqh.index.store.header import Header
from dqh.index.store.manifest import SegmentEntry
from dqh.index.store.rows import Row, StoredRow, checked_row
from dqh.index.store.segment import write_segment

_LARGEST = float(np.finfo(np.float16).max)

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


def checked_batch(
    header: Header,
    rows: Sequence[Row],
    codes: NDArray[np.uint8],
    features: NDArray[np.float32] | NDArray[np.float16],
) -> tuple[list[Row], NDArray[np.float16]]:
    """Rows and features as an index keeps them.

    Codes are (n, ⌈B / 8⌉) uint8, the unused bits of the last byte zero, features (n, F) float32 or float16.

    Raises:
        ValueError: an array has another shape or dtype or impossible values, numbers differ, a row is impossible, or an
            object where the header names no detector, or two have one path and box.
    """
    size = header.feature_size
    require_packed(codes, header.quantizer.bits)
    if features.dtype not in (np.float32, np.float16) or features.shape != (len(codes), size):
        raise ValueError(
            f"features must be float32 or float16 of shape ({len(codes)}, {size}), got {features.dtype} of shape "
            f"{features.shape}"
        )
    if not (np.abs(features) <= _LARGEST).all():  # also where they hold NaN
        raise ValueError(f"features must be finite and at most {_LARGEST:g}, as float16 holds them; scale them down")
    if len(rows) != len(codes):
        raise ValueError(f"rows and codes must be as many, got {len(rows)} rows and {len(codes)} codes")
    checked = [checked_row(row) for row in rows]
    if header.detector_id is None and any(row.object is not None for row in checked):
        raise ValueError("rows that are objects need an index of a detector; give detector_id in the header")
    if len({(row.path, row.box) for row in checked}) < len(checked):
        raise ValueError("rows must differ in path or box, two of them do not")
    return checked, features.astype(np.float16)
