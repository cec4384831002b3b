"""Images of a collection as the rows of an index: each encoded as a whole, and by a detector in parts too.

n rows: images, and objects in them. R pixels a side of what is made of each, before the centre of it is cropped. F
feature dimensions.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.collection.objects import Part, look
from dqh.collection.watched_store import WatchedStore
from dqh.cores import usable_cores
from dqh.data import Photos, Store
from dqh.data.images import to_array
from dqh.data.source import ArraySource
from dqh.detection.detector import Detector
from dqh.encoding.encoded_rows import BATCH_BYTES, EncodedRows
from dqh.encoding.loaded_encoder import LoadedEncoder, part_of
from dqh.errors import BadImageError, DetectorError
from dqh.progress import Progress

_LARGEST = float(np.finfo(np.float16).max)
_TOO_LARGE = "its features do not fit into float16"

_GROUP, _GROUP_PIXELS = 8, 2**25
"""Images shown to a detector together, and their pixels."""

_HOPELESS = 16
"""Images one after the other, from the first on, of which a detector fails on each, until the run ends."""

_MOST_THREADS = 16


class Parts(NamedTuple):
    """Some images, all rows of each.

    Attributes:
        rows: (n,) int64 row of the collection.
        parts: n of them.
        codes: (n, ⌈B / 8⌉) uint8.
        features: (n, F), finite in float16.
        hashes: n, of the content of the images; none before `Hashed`.
        end: whether a segment of the index ends here.
    """

    rows: NDArray[np.int64]
    parts: Sequence[Part]
    codes: NDArray[np.uint8]
    features: NDArray[np.float32] | NDArray[np.float16]
    hashes: Sequence[bytes] = ()
    end: bool = False


class Encoding(Protocol):
    """Makes rows of an index of images.

    Attributes:
        skipped: row of the collection → why it cannot be used.
        progress: told of images that are done.
    """

    skipped: dict[int, str]
    progress: Progress

    @property
    def left_out(self) -> int:
        """Boxes that became no row."""
        ...

    def run(self, rows: Sequence[int]) -> Iterator[Parts]:
        """What becomes of images by their rows, in order, some at a time, those that cannot be used left out."""


class Hashed:
    """An encoding with the hashes of what it encodes; see `Encoding`.

    Args:
        encoding: of the images.
        photos: the collection.
    """

    def __init__(self, encoding: Encoding, photos: Photos) -> None:
        self._encoding, self._photos = encoding, photos
        self.skipped = encoding.skipped

    @property
    def left_out(self) -> int:
        """That of the encoding."""
        return self._encoding.left_out

    @property
    def progress(self) -> Progress:
        """That of the encoding."""
        return self._encoding.progress

    @progress.setter
    def progress(self, progress: Progress) -> None:
        self._encoding.progress = progress

    def run(self, rows: Sequence[int]) -> Iterator[Parts]:
        """See `Encoding.run`.

        An image is hashed before it is decoded: one that changes in between has its old hash and is taken anew next
        time. One that cannot be hashed is read all the same, so that it has its place in a batch.
        """
        hashes: dict[int, bytes] = {}
        for row, content in self._photos.content_hashes(rows):
            if isinstance(content, BadImageError):
                self.skipped[row] = str(content)
            elif isinstance(content, ValueError):
                raise content
            else:
                hashes[row] = content
        if not hashes:
            self.progress.advance(len(rows))
            return
        for parts in self._encoding.run(rows):
            known = np.isin(parts.rows, list(hashes))
            chosen = parts.rows[known]
            yield Parts(
                chosen,
                [part for part, is_known in zip(parts.parts, known.tolist(), strict=True) if is_known],
                parts.codes[known],
                parts.features[known],
                [hashes[row] for row in chosen.tolist()],
            )


class WholeImages:
    """One row an image; see `Encoding`."""

    left_out = 0

    def __init__(self, store: WatchedStore, encoder: LoadedEncoder, *, batch_size: int) -> None:
        self._store, self._encoder, self._batch_size = store, encoder, batch_size
        self.skipped = store.skipped

    @property
    def progress(self) -> Progress:
        """That of the store."""
        return self._store.progress

    @progress.setter
    def progress(self, progress: Progress) -> None:
        self._store.progress = progress

    def run(self, rows: Sequence[int]) -> Iterator[Parts]:
        """See `Encoding.run`."""
        encoded = self._encoder.run(
            store=self._store, rows=np.array(rows, np.int64), batch_size=self._batch_size, padded=True
        )
        fits = _fits(encoded)
        self.skipped.update(dict.fromkeys(encoded.rows[~fits].tolist(), _TOO_LARGE))
        yield Parts(encoded.rows[fits], [Part()] * int(fits.sum()), encoded.codes[fits], encoded.features[fits])


class ImagesAndObjects:
    """One row an image, and one an object that a detector sees in it; see `Encoding`.

    Each image is decoded once, by threads that read ahead, and an object is encoded as `LoadedEncoder.encode` encodes a
    box. Where the detector fails on an image, or what is made of it or of an object in it cannot be encoded, it is
    skipped, with all its objects.

    Args:
        photos: the collection.
        encoder: of the rows.
        detector: that sees the objects.
        batch_size: rows that are encoded together.
        workers: threads that decode; None: one a core, up to 16.
    """

    def __init__(
        self, photos: Photos, encoder: LoadedEncoder, detector: Detector, *, batch_size: int, workers: int | None
    ) -> None:
        self.skipped: dict[int, str] = {}
        self.left_out = 0
        self.progress = Progress("indexed", len(photos))
        self._photos, self._encoder, self._detector = photos, encoder, detector
        self._spec = encoder.interface.spec
        self._batch_size = batch_size
        self._most = min(batch_size, max(1, BATCH_BYTES // (3 * self._spec.resize**2)))
        self._workers = min(_MOST_THREADS, usable_cores()) if workers is None else workers
        self._one_at_a_time = threading.Lock()
        self._failed: int | None = 0  # images, as long as the detector has answered for none

    def run(self, rows: Sequence[int]) -> Iterator[Parts]:
        """See `Encoding.run`.

        Raises:
            DetectorError: the detector fails on each of the first images.
        """
        waiting: list[tuple[int, Part, NDArray[np.uint8]]] = []
        for group in self._groups(rows):
            seen = look(self._detector, [np.asarray(image) for _, image in group])
            for (row, image), answer in zip(group, seen, strict=True):
                if isinstance(answer, str):
                    self._fail(row, answer)
                    continue
                self._failed = None
                self.left_out += answer.left_out
                try:
                    cut = [(row, part, self._cut(image, part)) for part in (Part(), *answer.objects)]
                except MemoryError:
                    self.skipped[row] = "not enough memory to cut out and resize what is in it"
                else:
                    waiting += cut
            self.progress.advance(len(group))
            if len(waiting) >= self._most:
                yield self._encoded(waiting)
                waiting = []
        if waiting:
            yield self._encoded(waiting)

    def _fail(self, row: int, reason: str) -> None:
        self.skipped[row] = reason
        if self._failed is None:
            return
        self._failed += 1
        if self._failed == _HOPELESS:
            raise DetectorError(f"none of the first {_HOPELESS} images can be searched for objects; the last: {reason}")

    def _cut(self, image: Image.Image, part: Part) -> NDArray[np.uint8]:
        """(3, R, R) of an image or an object, as it enters the encoder but for the crop of its centre."""
        return to_array(part_of(image, part.box), self._spec)

    def _encoded(self, waiting: Sequence[tuple[int, Part, NDArray[np.uint8]]]) -> Parts:
        rows = np.array([row for row, _, _ in waiting], np.int64)
        pixels = np.stack([array.transpose(1, 2, 0) for _, _, array in waiting])
        store = Store(_Pixels(pixels), self._spec, workers=0)
        encoded = self._encoder.run(store=store, rows=np.arange(len(rows)), batch_size=self._batch_size, padded=True)
        wrong = store.skipped | dict.fromkeys(encoded.rows[~_fits(encoded)].tolist(), _TOO_LARGE)
        for place, reason in sorted(wrong.items()):
            box = waiting[place][1].box
            what = "" if box is None else f"of the object in {','.join(f'{value:g}' for value in box)}: "
            self.skipped.setdefault(int(rows[place]), what + reason)
        whole = ~np.isin(rows[encoded.rows], list(self.skipped))
        chosen = encoded.rows[whole]
        parts = [waiting[place][1] for place in chosen.tolist()]
        return Parts(rows[chosen], parts, encoded.codes[whole], encoded.features[whole])

    def _groups(self, rows: Sequence[int]) -> Iterator[list[tuple[int, Image.Image]]]:
        """Decoded images, so many as a detector is shown together."""
        group: list[tuple[int, Image.Image]] = []
        pixels = 0
        for row, image in self._decoded(rows):
            if isinstance(image, str):
                self.skipped[row] = image
                self.progress.advance(1)
                continue
            group.append((row, image))
            pixels += image.width * image.height
            if len(group) == _GROUP or pixels >= _GROUP_PIXELS:
                yield group
                group, pixels = [], 0
        if group:
            yield group

    def _decoded(self, rows: Sequence[int]) -> Iterator[tuple[int, Image.Image | str]]:
        """The images in order, or why one cannot be used; threads are as many images ahead as they are."""
        if not self._workers:
            yield from ((row, self._read(row)) for row in rows)
            return
        waiting: deque[tuple[int, Future[Image.Image | str]]] = deque()
        pool = ThreadPoolExecutor(self._workers)
        try:
            for row in rows:
                waiting.append((row, pool.submit(self._read, row)))
                if len(waiting) > self._workers:
                    first, image = waiting.popleft()
                    yield first, image.result()
            while waiting:
                first, image = waiting.popleft()
                yield first, image.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, row: int) -> Image.Image | str:
        of_table = self._photos.photos[row].table is not None  # which keeps what it has read last
        with self._one_at_a_time if of_table else nullcontext():
            try:
                return self._photos.read(row)
            except BadImageError as error:
                return str(error)
            except MemoryError:
                return "not enough memory to read it"


def _fits(encoded: EncodedRows) -> NDArray[np.bool_]:
    """(n,) whether the features of each row fit into float16."""
    return np.asarray((np.abs(encoded.features) <= _LARGEST).all(axis=1))


class _Pixels(ArraySource):
    """Images in memory as a store reads them: (N, R, R, 3) uint8."""

    name = "parts"

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._array = pixels
        self.size = self.bulk_size = pixels.shape[1]

    @property
    def labels(self) -> NDArray[np.int64]:
        """None that matter."""
        return np.zeros(len(self._array), np.int64)

    @property
    def class_names(self) -> tuple[str, ...]:
        """One for all."""
        return ("",)

    @property
    def _part_sizes(self) -> dict[str, int]:
        return {"": len(self._array)}

    def _read_pixels(self) -> NDArray[np.uint8]:
        return self._array
