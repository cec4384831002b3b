"""Photos with boxes as the inputs of a detector: read, fitted into its square, their boxes with them.

N photos, K boxes of one, S × S pixels of the input.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dqh.data.box_source import BoxSource
from dqh.data.boxes import Boxes
from dqh.data.preparation import Leaks, check_leaks
from dqh.data.skipped import report_skipped
from dqh.data.splits import Roles, Split
from dqh.detection.decoders.ready_boxes import DECODER
from dqh.detection.letter_box import LetterBox, letter_box
from dqh.errors import BadImageError, DataError
from dqh.plural import counted

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 16
_AHEAD = 4
"""Photos that are read ahead for each worker."""


class FittedPhotos:
    """The photos of some rows of a source.

    Args:
        source: of photos with boxes.
        size: S.
        memory_limit: photos stay in memory, fitted, up to so many bytes, and are read again and again beyond.
        workers: threads that read, 0 for none beside this one; None for one a CPU, up to 16.

    Attributes:
        truths: row → its boxes in pixels of the input, of all rows that were loaded and can be read.
        sizes: row → width and height of its photo in the input, in whose top left it lies.
        skipped: row → why its photo cannot be read.
    """

    def __init__(self, source: BoxSource, size: int, *, memory_limit: int, workers: int | None = None) -> None:
        self.source = source
        self.size = size
        self.truths: dict[int, Boxes] = {}
        self.sizes: dict[int, tuple[int, int]] = {}
        self.skipped: dict[int, str] = {}
        self._memory_limit = memory_limit
        self._workers = min(MOST_WORKERS, os.cpu_count() or 1) if workers is None else workers
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def load(self, rows: Sequence[int], *, keep: bool = True) -> None:
        """Read the photos of rows, and keep them where that is meant and all of them find room."""
        keep = keep and len(rows) * 3 * self.size**2 <= self._memory_limit
        for row, result in zip(rows, self.in_threads(self._tried, rows), strict=True):
            if isinstance(result, str):
                self.skipped[row] = result
                continue
            boxed, self.truths[row] = result
            self.sizes[row] = boxed.fitted
            if keep:
                self._kept[row] = boxed.pixels

    def release(self) -> None:
        """Let go of the photos that are kept; whoever asks for one gets it read again."""
        self._kept.clear()

    def read(self, row: int) -> tuple[NDArray[np.uint8], Boxes]:
        """The whole photo (H, W, 3) of a row, and its boxes in its own pixels; `BadImageError` as of the source."""
        return np.asarray(self.source.read(row), np.uint8), self.source.boxes(row)

    def marks(self, row: int) -> int:
        """How many boxes of a row that was loaded are to be found: the difficult ones are not."""
        return int((~self.truths[row].difficult).sum())

    def pixels(self, rows: Sequence[int], mirrored: Sequence[bool] | None = None) -> NDArray[np.uint8]:
        """(N, 3, S, S) inputs of rows that were loaded, with some photos mirrored, left to right, where they lie."""
        many = list(self.in_threads(self._pixels, zip(rows, mirrored or [False] * len(rows), strict=True)))
        return np.ascontiguousarray(np.stack(many).transpose(0, 3, 1, 2))

    def in_threads(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What a function gives for each item, in order, a few ahead of who takes them."""
        if self._workers == 0:
            yield from map(function, items)
            return
        left = iter(items)
        with ThreadPoolExecutor(self._workers) as pool:
            ahead = [pool.submit(function, item) for item in islice(left, _AHEAD * self._workers)]
            while ahead:
                result = ahead.pop(0).result()
                ahead += [pool.submit(function, item) for item in islice(left, 1)]
                yield result

    def _tried(self, row: int) -> tuple[LetterBox, Boxes] | str:
        try:
            return fitted(*self.read(row), self.size)
        except BadImageError as error:
            return str(error)

    def _pixels(self, asked: tuple[int, bool]) -> NDArray[np.uint8]:
        row, mirrored = asked
        kept = self._kept.get(row)
        pixels = fitted(*self.read(row), self.size)[0].pixels if kept is None else kept
        if mirrored:
            pixels, width = pixels.copy(), self.sizes[row][0]
            pixels[:, :width] = pixels[:, :width][:, ::-1].copy()
        return pixels


@dataclass(frozen=True)
class DetectionData:
    """The photos of one experiment; its roles are without those that cannot be read, which `skipped.csv` lists."""

    source: BoxSource
    split: Split
    roles: Roles
    inputs: FittedPhotos
    leaks: Leaks


def prepare_photos(
    source: BoxSource,
    split: Split,
    size: int,
    *,
    allow_duplicates: bool,
    skipped_file: Path,
    roles: tuple[str, ...] = ("train", "validation"),
    memory_limit: int = 4 * 10**9,
    workers: int | None = None,
) -> DetectionData:
    """Check for leaks, read the photos of some roles, and take out what cannot be read.

    Args:
        source: of photos with boxes.
        split: who is who.
        size: side of the input, pixels.
        allow_duplicates: whether a query's content may be found again in another role.
        skipped_file: where photos and boxes that cannot be used are listed, if there are any.
        roles: whose photos will be read.
        memory_limit: bytes of photos that stay in memory.
        workers: threads that read, see `FittedPhotos`.

    Raises:
        DataError: ids that the source does not have, leaks, too many unusable photos, a role left empty, or photos to
            train on without a single box.
    """
    rows = split.rows(source)
    leaks = check_leaks(source, rows, allow_duplicates=allow_duplicates)
    inputs = FittedPhotos(source, size, memory_limit=memory_limit, workers=workers)
    asked = {role: getattr(rows, role) for role in roles}
    learnt = np.unique(np.concatenate([asked.pop(role, rows.train[:0]) for role in ("train", "validation")]))
    inputs.load(learnt.tolist())
    inputs.load(np.setdiff1d(np.concatenate([*asked.values(), learnt[:0]]), learnt).tolist(), keep=False)
    total = len(np.unique(np.concatenate(rows)))
    report_skipped(source, inputs.skipped, total=total, file=skipped_file)
    bad = np.fromiter(inputs.skipped, np.int64, len(inputs.skipped))
    good = Roles(*(part[~np.isin(part, bad)] for part in rows))
    for role in roles:
        if len(getattr(rows, role)) and not len(getattr(good, role)):
            raise DataError(f"none of the {len(getattr(rows, role))} {role} images can be used; see {skipped_file}")
    if "train" in roles and not any(inputs.marks(row) for row in good.train.tolist()):
        raise DataError(
            f"none of the {counted(len(good.train), 'training photo')} of {source.name} has a box that can be used; "
            "give photos in which objects are marked, and not as difficult"
        )
    return DetectionData(source, split, good, inputs, leaks)


def fitted(image: NDArray[np.uint8], boxes: Boxes, size: int) -> tuple[LetterBox, Boxes]:
    """A photo (H, W, 3) in a square input, and its boxes in the pixels of that, empty ones left out."""
    boxed = letter_box(image, size, size, padding=DECODER.usual.padding)
    scale = np.tile(np.divide(boxed.fitted, boxed.photo), 2)
    inside = (boxes.boxes * scale).astype(np.float32)
    whole = np.all(inside[:, :2] < inside[:, 2:], axis=1)  # rounding may leave nothing of a box of a hair's breadth
    return boxed, Boxes(inside[whole], boxes.classes[whole], boxes.difficult[whole])
