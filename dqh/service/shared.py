"""Encoder, detector and index as many threads use them at a time: each answers a batch of what is asked together.

A process of ONNX Runtime that has ended is started anew, so that one bad input costs one request.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.detection.detections import Detections
from dqh.detection.detector import Detector
from dqh.encoded import Encoded
from dqh.encoding.encoded_rows import BATCH_SIZE, EncodedRows, Images
from dqh.encoding.loaded_encoder import LoadedEncoder
from dqh.errors import ArtifactError, DetectorError
from dqh.index.store import Snapshot
from dqh.index.store.found import Among, Found
from dqh.index.store.version import Version
from dqh.ranking import Rank, Ranking
from dqh.service.batches import MOST
from dqh.service.together import Together

if TYPE_CHECKING:
    from dqh.data import Store

logger = logging.getLogger(__name__)

Told = Callable[[int], object]
"""Is told how many requests each batch has."""


def shared_encoder(load: Callable[[], LoadedEncoder], *, seen: Told) -> LoadedEncoder:
    """An encoder for many threads.

    Args:
        load: makes one; called again where the process of one has ended.
        seen: see `Told`.
    """
    loaded = load()
    return LoadedEncoder(loaded.path, loaded.interface, _SharedRun(loaded, load, seen))


class _SharedRun:
    """`dqh.encoding.runtimes.Encode` of arrays."""

    def __init__(self, loaded: LoadedEncoder, load: Callable[[], LoadedEncoder], seen: Told) -> None:
        self._loaded, self._load = loaded, load
        self._together: Together[Images, EncodedRows] = Together(self._encoded, most=MOST, seen=seen)

    def __call__(
        self,
        *,
        store: "Store | Images",
        rows: NDArray[np.int64] | None = None,
        batch_size: int = BATCH_SIZE,
        padded: bool = False,
    ) -> EncodedRows:
        assert isinstance(store, np.ndarray)
        assert rows is None, (batch_size, padded)
        return self._together(store)

    def _encoded(self, arrays: list[Images]) -> list[EncodedRows]:
        try:
            joined: Images = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]  # type: ignore[assignment]
            whole = self._loaded.run(store=joined)
        except ArtifactError as error:
            logger.warning("%s; the encoder is loaded again", error)
            self._loaded = self._load()
            raise
        ends = np.cumsum([len(array) for array in arrays])
        return [_part(whole, slice(end - len(array), end)) for array, end in zip(arrays, ends.tolist(), strict=True)]


def _part(whole: EncodedRows, rows: slice) -> EncodedRows:
    codes, embedding, features = whole.codes[rows], whole.embedding[rows], whole.features[rows]
    return EncodedRows(np.arange(len(codes)), codes, embedding, features, whole.speed)


class SharedDetector:
    """A detector that sees one photo at a time, whoever asks; see `dqh.detection.detector.Detector`.

    Args:
        open_one: opens it; called again where it fails, as one does whose process has ended.
    """

    def __init__(self, open_one: Callable[[], Detector]) -> None:
        self._open, self._detector, self._turn = open_one, open_one(), threading.Lock()
        self.classes, self.detector_id, self.most = (
            self._detector.classes,
            self._detector.detector_id,
            self._detector.most,
        )

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Detections:
        """The objects in photos; see `Detector.detect`."""
        with self._turn:
            try:
                return self._detector.detect(images)
            except DetectorError as error:
                logger.warning("%s; the detector is opened again", error)
                self._detector = self._open()
                raise


class Asked(NamedTuple):
    """What a search is asked beside its queries, see `Snapshot.search`; those that agree in it are one search."""

    k: int
    pool: int | None
    radius: float | None
    where: str | None
    rank: Rank
    among: Among | None


class SharedSnapshot(Snapshot):
    """A snapshot that searches for several requests together, those that ask the same of it.

    What a request is told of seconds is what its batch took.

    Args:
        version: an opened one.
        seen: see `Told`.
        how: further arguments of `Snapshot`.
    """

    def __init__(self, version: Version, *, seen: Told, **how: Any) -> None:
        super().__init__(version, **how)
        self._together: Together[tuple[Asked, Encoded], Found] = Together(self._all, most=MOST, seen=seen)
        self._seen = seen

    def search(
        self,
        encoded: Encoded,
        *,
        k: int = 10,
        pool: int | None = None,
        radius: float | None = None,
        where: str | None = None,
        rank: Rank = "fine",
        among: Among | None = None,
    ) -> Found:
        """The rows nearest to each query; see `Snapshot.search`."""
        return self._together((Asked(k, pool, radius, where, rank, among), encoded))

    def search_all(self, items: Sequence[tuple[Asked, Encoded]]) -> list[Found | Exception]:
        """The answers to several questions, which one thread has; where they fail together each is asked alone."""
        if not items:
            return []
        self._seen(len(items))
        try:
            return [*self._all(items)]
        except Exception as error:  # of each question its own
            return [error] if len(items) == 1 else [answer for item in items for answer in self.search_all([item])]

    def _all(self, items: Sequence[tuple[Asked, Encoded]]) -> list[Found]:
        alike: dict[Asked, list[int]] = {}
        for number, (asked, _) in enumerate(items):
            alike.setdefault(asked, []).append(number)
        answers: dict[int, Found] = {}
        for asked, numbers in alike.items():
            queries = [items[number][1] for number in numbers]
            whole = super().search(_joined(queries), **asked._asdict())
            ends = np.cumsum([len(query.codes) for query in queries]).tolist()
            for number, query, end in zip(numbers, queries, ends, strict=True):
                answers[number] = _found(whole, slice(end - len(query.codes), end))
        return [answers[number] for number in range(len(items))]


def _joined(queries: Sequence[Encoded]) -> Encoded:
    if len(queries) == 1:
        return queries[0]
    codes, embedding, features = (np.concatenate(arrays) for arrays in list(zip(*queries, strict=True))[:3])
    return Encoded(codes, embedding, features, queries[0].encoder_id)


def _found(whole: Found, rows: slice) -> Found:
    """The answers to some of the queries; what is known of them was looked up for all together."""
    part = replace(
        whole,
        ranking=Ranking(whole.ranking.ids[rows], whole.ranking.distances[rows]),
        code_distances=whole.code_distances[rows],
        candidates=whole.candidates[rows],
    )
    vars(part)["hits"] = whole.hits[rows]
    return part
