"""Point at an object in a photo, and get what looks like it, and what that is called.

A detector sees the objects, each is searched for among the objects of an index, and its answers name it (Zhai et al.,
Visual Discovery at Pinterest, 2017, call this Flashlight). D objects of a photo, k answers of each.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.artifact.lengths import length_of_encoder
from dqh.artifact.ranking_choice import chosen_ranking
from dqh.collection.artifact_note import remembered_artifact
from dqh.collection.objects import Part, detector_of
from dqh.collection.objects import look as objects_in
from dqh.counts import require_counts
from dqh.data.photo_files import located, read_photo
from dqh.detection.detector import Detector
from dqh.discovery.annotate import Annotation, Annotator, Kernel, weighted_word_table, word_shares
from dqh.discovery.answer_rows import KINDS, AnswerRows, words_of
from dqh.discovery.dot_filter import DotFilter
from dqh.discovery.dot_signals import OTHER, SIGNALS, Dots, signals_of
from dqh.discovery.look_fit import LookFit, read_look_fit
from dqh.encoded import Encoded
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder, part_of
from dqh.errors import BadImageError, ConfigError, NoDetectorError
from dqh.index.store import Box, Hit, Snapshot, open_index
from dqh.index.store.found import Among
from dqh.index.store.header import require_encoder
from dqh.ranking import Rank, Ranking

KERNEL = Kernel("exponential", 1.0, 20)
"""By which answers weigh where no annotator was fitted; its answers are those of the signals of a dot."""

STAGES = ("decode", "detect", "encode", "search", "words", "filter")
"""Of a look, in their order."""


class Spot(NamedTuple):
    """An object of a photo with what was found for it.

    Attributes:
        box: x0, y0, x1, y1, whole pixels of the upright photo.
        object: its class, as the detector has it; None for a box that was given.
        score: of the detector, 0 … 1; None likewise.
        signals: by name, see `dqh.discovery.dot_signals`; none for a box that was given, or without answers.
        worth: of its dot, by the filter; None without a filter.
        shown: whether the filter shows its dot; true without a filter.
        words: for it, by falling weight; the confidence of one is None without an annotator.
        hits: the k nearest answers.
    """

    box: Box
    object: str | None
    score: float | None
    signals: dict[str, float]
    worth: float | None
    shown: bool
    words: tuple[Annotation, ...]
    hits: tuple[Hit, ...]

    @property
    def dot(self) -> tuple[float, float]:
        """x, y: the middle of the box."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


@dataclass(frozen=True)
class Sight:
    """A photo with its objects.

    Attributes:
        photo: its path, or "" for an image of Pillow.
        size: width and height, pixels.
        spots: objects, those whose dots are shown first, then by falling worth, or score where there is no filter.
        note: why there are none, or why none has answers, in words; else "".
        seconds: of each stage: decode, detect, encode, search, words, filter.
    """

    photo: str
    size: tuple[int, int]
    spots: tuple[Spot, ...]
    note: str
    seconds: dict[str, float]


class Flashlight:
    """Looks at photos by an index with objects.

    Args:
        index: that answers, all of whose objects are searched; where it has none, whole images answer.
        encoder: that it was made with.
        detector: that sees the objects of photos.
        annotator: names them with a confidence; None for shares alone, by `KERNEL`.
        dot_filter: says which dots are shown; None for all.
        kinds: of words that have a confidence, see `dqh.discovery.answer_rows.KINDS`; others follow with their share.

    Attributes:
        rank: what orders the answers, as the artifact of the encoder chose.

    Raises:
        MismatchError: the index was made with another encoder, or the filter was fitted with another encoder or
            detector.
        ConfigError: the filter reads signals of a detector, and there is none.
    """

    def __init__(
        self,
        index: Snapshot,
        encoder: LoadedEncoder,
        detector: Detector | None,
        *,
        annotator: Annotator | None = None,
        dot_filter: DotFilter | None = None,
        kinds: Sequence[str] = KINDS,
    ) -> None:
        require_encoder(index.version.path, index.version.manifest.encoder_id, encoder.encoder_id, by=str(encoder.path))
        if dot_filter is not None:
            if detector is None:
                raise ConfigError(
                    "a filter of dots judges what a detector sees, and there is none; leave the filter out"
                )
            dot_filter.require(detector_id=detector.detector_id, encoder_id=encoder.encoder_id)
        self.index, self.encoder, self.detector = index, encoder, detector
        self.annotator, self.dot_filter, self._kinds = annotator, dot_filter, tuple(kinds)
        choice = chosen_ranking(encoder.path, bits=encoder.interface.quantizer.bits)
        self.rank: Rank = "fine" if choice is None else choice.rank
        self._pool = choice.pool if choice is not None and choice.rank == "fine" else None

    def look(
        self,
        photo: str | os.PathLike[str] | Image.Image,
        *,
        box: Box | None = None,
        k: int = 10,
        most: int = 5,
        words: int = 5,
    ) -> Sight:
        """The objects of a photo, each with its answers and words.

        Args:
            photo: a path, or an upright RGB image of Pillow.
            box: x0, y0, x1, y1, pixels: the one part to search by, instead of what the detector sees.
            k: answers of an object.
            most: objects, those of the highest score, at least 1.
            words: of an object at most, at least 1.

        Raises:
            BadImageError: the photo cannot be used, the detector fails on it, or the box lies outside it.
            NoDetectorError: no box is given, and there is no detector.
            ValueError: a number is below 1.
        """
        require_counts(k=k, most=most, words=words)
        marks = [time.perf_counter()]
        path = "" if isinstance(photo, Image.Image) else os.fspath(photo)
        image = photo if isinstance(photo, Image.Image) else read_query(path)
        marks.append(time.perf_counter())
        parts = [Part(box)] if box is not None else list(self.seen(image, path)[:most])
        marks.append(time.perf_counter())
        encoded = self.encoded(image, parts, path)
        marks.append(time.perf_counter())
        hits = () if encoded is None else self.answers(encoded, k=max(k, self.kernel.answers))
        marks.append(time.perf_counter())
        collected = AnswerRows()
        collected.add(hits)
        answers, rows = collected.ranking(), collected.rows
        named = self.words(answers, rows, words)
        marks.append(time.perf_counter())
        signals = self._signals(parts, answers, rows, image.size)
        spots = self._spots(parts, [own[:k] for own in hits], named, signals, image.size)
        marks.append(time.perf_counter())
        seconds = {name: after - before for name, (before, after) in zip(STAGES, pairwise(marks), strict=True)}
        return Sight(path, image.size, spots, _note(parts, hits), seconds)

    def over(self, index: Snapshot) -> "Flashlight":
        """The same over another version of the index; `MismatchError` where that is of another encoder."""
        return Flashlight(
            index,
            self.encoder,
            self.detector,
            annotator=self.annotator,
            dot_filter=self.dot_filter,
            kinds=self._kinds,
        )

    @property
    def kernel(self) -> Kernel:
        """By which answers weigh."""
        return KERNEL if self.annotator is None else self.annotator.kernel

    def pool_of(self, k: int) -> int | None:
        """Candidates that are ranked by features for k answers, as the artifact chose; None where it did not."""
        return None if self._pool is None else max(k, self._pool)

    def encoded(self, image: Image.Image, parts: Sequence[Part], path: str = "") -> Encoded | None:
        """Parts of an image as they are searched by, all in one batch; None where there are none.

        Raises:
            BadImageError: a part does not lie in the image.
        """
        try:
            crops = [part_of(image, part.box) for part in parts]
        except BadImageError as error:
            raise BadImageError(f"{path or 'the photo'!r} cannot be searched by its part: {error}") from error
        return self.encoder.encode(crops) if crops else None

    def answers(self, encoded: Encoded, *, k: int, among: Among | None = None) -> tuple[tuple[Hit, ...], ...]:
        """The k nearest answers to each of some parts.

        Args:
            encoded: the parts.
            k: answers of each, at least 1.
            among: whole images, or objects, one an image; None for objects, or images where there are no objects.
        """
        wanted = min(k, max(1, len(self.index)))
        if among is None:
            among = "objects" if self.index.version.objects.any() else "images"
        return self.index.search(encoded, k=wanted, pool=self.pool_of(wanted), rank=self.rank, among=among).hits

    def seen(self, image: Image.Image, path: str = "") -> Sequence[Part]:
        """The objects that the detector sees in an image, the surest first.

        Raises:
            BadImageError: the detector fails on it.
            NoDetectorError: there is none.
        """
        if self.detector is None:
            raise NoDetectorError(
                "nothing tells what a photo shows, as there is no detector; name one, or give the box to search by"
            )
        (seen,) = objects_in(self.detector, [np.asarray(image)])
        if isinstance(seen, str):
            raise BadImageError(f"{path or 'the photo'!r} cannot be used: {seen}")
        return seen.objects

    def _spots(
        self,
        parts: Sequence[Part],
        hits: Sequence[tuple[Hit, ...]],
        named: Sequence[tuple[Annotation, ...]],
        signals: NDArray[np.float64] | None,
        size: tuple[int, int],
    ) -> tuple[Spot, ...]:
        """What was found for each part, in the order of `Sight.spots`."""
        worth: list[float | None] = [None] * len(parts)
        shown = [True] * len(parts)
        if self.dot_filter is not None and signals is not None:
            worth = self.dot_filter.worth(signals).tolist()
            shown = self.dot_filter.keeps(signals).tolist()
        spots = [
            Spot(
                box=part.box or (0.0, 0.0, float(size[0]), float(size[1])),
                object=part.object,
                score=part.score,
                signals={} if signals is None else dict(zip(SIGNALS, signals[number].tolist(), strict=True)),
                worth=worth[number],
                shown=shown[number],
                words=named[number],
                hits=hits[number],
            )
            for number, part in enumerate(parts)
        ]
        return tuple(sorted(spots, key=_order))

    def words(self, answers: Ranking, rows: Sequence[Hit], most: int) -> list[tuple[Annotation, ...]]:
        """The words of each part by what its answers are called; first those of which one knows how sure they are.

        Args:
            answers: (D, k) places in `rows`, nearest first.
            rows: of the index, see `dqh.discovery.answer_rows.AnswerRows`.
            most: words of a part, at least 1.
        """
        sure: list[tuple[Annotation, ...]] = [()] * len(answers.ids)
        called = [words_of(hit) for hit in rows]
        if self.annotator is not None:
            judged = [words_of(hit, self._kinds) for hit in rows]
            words, table = weighted_word_table(judged)
            sure = self.annotator.annotate(answers, table, words, most=most)
            known = set(words)
            called = [{word: weight for word, weight in own.items() if word not in known} for own in called]
        words, table = weighted_word_table(called)
        shares = word_shares(answers, table, self.kernel)
        order = np.argsort(-shares, axis=1, kind="stable")[:, :most]
        others = (
            tuple(Annotation(words[word], float(share[word]), None) for word in places if share[word] > 0)
            for places, share in zip(order, shares, strict=True)
        )
        return [(*own, *more)[:most] for own, more in zip(sure, others, strict=True)]

    def _signals(
        self, parts: Sequence[Part], answers: Ranking, rows: Sequence[Hit], size: tuple[int, int]
    ) -> NDArray[np.float64] | None:
        """(D, 6) signals of what a detector saw; None for a box that was given, and where nothing answers."""
        if self.detector is None or any(part.object is None for part in parts) or not rows:
            return None
        number = {name: place for place, name in enumerate(self.detector.classes)}
        dots = Dots(
            np.zeros(len(parts), np.int64),
            np.array([part.box for part in parts], np.float32),
            np.array([part.score for part in parts], np.float32),
            np.array([number[part.object or ""] for part in parts], np.int64),
        )
        classes = np.array([number.get(hit.object or "", OTHER) for hit in rows], np.int64)
        return signals_of(dots, sizes=np.array([size]), answers=answers, row_classes=classes, kernel=self.kernel)


def open_flashlight(
    index: str | Path,
    *,
    artifact: str | Path | None = None,
    detector: str | Path | Detector | None = None,
    annotator: Annotator | None = None,
    dot_filter: DotFilter | None = None,
    fitted: str | Path | LookFit | None = None,
    detects: bool = True,
    engine: str = "auto",
    device: str | None = None,
    runtime: str = "torch",
) -> Flashlight:
    """A flashlight over an index on disk.

    Args:
        index: its folder.
        artifact: of the encoder; None for the one that the index remembers.
        detector: an open one, or where it is; None for the one that the index remembers, if it has objects.
        annotator: see `Flashlight`.
        dot_filter: likewise.
        fitted: both of them, as `dqh.discovery.fitting` fitted them, or the folder where they are; instead.
        detects: whether objects will be looked for; looks at given boxes alone need no detector, and the one that the
            index remembers is not asked for then.
        engine: that searches the codes, see `dqh.index.store.open_index`.
        device: to encode and search on, see `dqh.collection.searching.search_images`.
        runtime: that encodes, see `load_encoder`.

    Raises:
        StoreError: there is no index, or it is damaged.
        ArtifactError: there is no artifact, or it is damaged, or has no form for the runtime.
        DetectorError: there is no detector where it is said to be, or it is damaged.
        MismatchError: index, encoder, detector and filter do not belong together.
        ConfigError: there is no such runtime or device, or annotator or filter are given twice.
        ValueError: there is no such engine for the codes.
    """
    if fitted is not None and (annotator is not None or dot_filter is not None):
        raise ConfigError("fitted holds an annotator and a filter; leave the others out, or fitted")
    if isinstance(fitted, str | Path):
        fitted = read_look_fit(fitted)
    snapshot = open_index(index, engine=engine, device=device if runtime == "torch" else "cpu")
    folder = remembered_artifact(Path(index)) if artifact is None else artifact
    bits = length_of_encoder(Path(folder), snapshot.version.manifest.encoder_id)
    encoder = load_encoder(folder, device=device, runtime=runtime, bits=bits)
    wanted = detects or detector is not None
    named = detector_of(Path(index), detector, option="--detector", foreign=True) if wanted else None
    seer = None if named is None else named.detector
    if fitted is not None:
        fitted.require(encoder_id=encoder.encoder_id, detector_id=None if seer is None else seer.detector_id)
        annotator, dot_filter = fitted.annotator, None if seer is None else fitted.dot_filter
    kinds = KINDS if fitted is None else fitted.kinds
    return Flashlight(snapshot, encoder, seer, annotator=annotator, dot_filter=dot_filter, kinds=kinds)


def read_query(path: str) -> Image.Image:
    """The upright RGB photo at a path; `BadImageError`, with its path, where it cannot be used."""
    try:
        return read_photo(located(path))
    except BadImageError as error:
        raise BadImageError(f"{path!r} cannot be used: {error}") from error


def _order(spot: Spot) -> tuple[bool, float, float]:
    return not spot.shown, 0.0 if spot.worth is None else -spot.worth, -(spot.score or 0.0)


def _note(parts: Sequence[Part], hits: Sequence[tuple[Hit, ...]]) -> str:
    """Why there is nothing to show."""
    if not parts:
        return "no object is seen in the photo; search by all of it, or by a part of it"
    return "" if any(hits) else "the index has no rows, so that nothing answers"
