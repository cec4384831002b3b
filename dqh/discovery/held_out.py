"""Photos whose objects are marked, looked at by an index and a detector that have not seen them.

D parts of P photos: marked objects, or what the detector sees.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.collection.objects import SMALLEST, Part
from dqh.data.box_source import BoxSource
from dqh.data.boxes import Boxes, no_boxes
from dqh.data.class_map import ClassMap, unknown_classes
from dqh.data.skipped import report_skipped
from dqh.discovery.annotate import KERNELS
from dqh.discovery.answer_rows import KINDS, AnswerRows
from dqh.discovery.flashlight import Flashlight
from dqh.errors import BadImageError, DataError
from dqh.index.store import Box, Hit, Snapshot
from dqh.index.store.rows import to_text
from dqh.plural import counted
from dqh.progress import Progress

logger = logging.getLogger(__name__)

_NAMED = 20
"""Classes in a message."""


@dataclass
class Searches:
    """Parts of photos that were searched for, and what answered.

    Attributes:
        photos: number of the photo of each part.
        answers: of each part.
    """

    photos: list[int] = field(default_factory=list)
    answers: AnswerRows = field(default_factory=AnswerRows)

    def add(self, photo: int, hits: Sequence[tuple[Hit, ...]]) -> None:
        """The answers to some parts of a photo."""
        self.photos += [photo] * len(hits)
        self.answers.add(hits)


class HeldOut(NamedTuple):
    """All that was looked at.

    Attributes:
        rows: of the source, one a photo.
        marked: searches for the marked objects.
        names: of the classes of these.
        dots: searches for what the detector sees.
        parts: what that is.
        truth: (P) all that is marked in each photo.
        sizes: (P, 2) width and height, pixels; 0 of a photo that cannot be read.
        class_names: of the source.
        kinds: of words, those of `dqh.discovery.answer_rows.KINDS` that have a class of the source among them: of these
            the marks say whether they are right.
    """

    rows: list[int]
    marked: Searches
    names: list[str]
    dots: Searches
    parts: list[Part]
    truth: list[Boxes]
    sizes: NDArray[np.int64]
    class_names: tuple[str, ...]
    kinds: tuple[str, ...]


def look_at(flashlight: Flashlight, photos: BoxSource) -> HeldOut:
    """Search for each marked object of the photos, and for each that the detector sees.

    Photos that the index has, by their content, are left out. Difficult objects, and those with a side below 8 pixels,
    are not searched for.

    Raises:
        DataError: the index has all photos, or names of classes do not fit.
        TooManyBadImagesError: more photos cannot be used than the source allows.
    """
    rows = _held_out(photos, flashlight.index)
    kinds = _judged(flashlight, photos, rows)
    sizes = np.zeros((len(rows), 2), np.int64)
    held_out = HeldOut(rows, Searches(), [], Searches(), [], [], sizes, photos.class_names, kinds)
    skipped: dict[int, str] = {}
    most = max(kernel.answers for kernel in KERNELS)
    progress = Progress("looked at", len(rows))
    for number, row in enumerate(rows):
        progress.advance(1)
        marked = no_boxes()
        try:
            image, marked = photos.read(row), photos.boxes(row)
            own = _parts(marked, image)
            seen = list(flashlight.seen(image, str(photos.ids[row]))) if flashlight.detector is not None else []
            encoded = flashlight.encoded(image, [part for part, _ in own] + seen)
        except BadImageError as error:
            skipped[row] = str(error)
            held_out.truth.append(marked)
            continue
        held_out.truth.append(marked)
        held_out.sizes[number] = image.size
        if encoded is None:
            continue
        hits = flashlight.answers(encoded, k=most)
        held_out.marked.add(number, hits[: len(own)])
        held_out.names.extend(photos.class_names[place] for _, place in own)
        held_out.dots.add(number, hits[len(own) :])
        held_out.parts.extend(seen)
    report_skipped(photos, skipped, total=len(rows))
    return held_out


def _held_out(photos: BoxSource, index: Snapshot) -> list[int]:
    """The rows of photos whose content the index does not have; those that cannot be read count as held out."""
    version = index.version
    stored = set(version.column("content_hash", np.arange(len(version))).unique().to_pylist())

    def is_stored(row: int) -> bool:
        try:
            return photos.content_hash(row) in stored
        except BadImageError:
            return False

    rows = [row for row in range(len(photos)) if not is_stored(row)]
    if not rows:
        raise DataError(
            f"all {len(photos)} photos of {photos.name} are in {version.path}, and answer themselves; give photos that "
            "it does not have"
        )
    if left := len(photos) - len(rows):
        logger.warning("%s of %s left out, as the index has them", counted(left, "photo"), photos.name)
    return rows


def _judged(flashlight: Flashlight, photos: BoxSource, rows: Sequence[int]) -> tuple[str, ...]:
    """See `HeldOut.kinds`; `DataError` where the index does not call a class so, and word where the detector does not.

    Whoever marks dresses says of the label `hat` that it is wrong of a dress, and of the object `person` nothing.
    """
    present = np.flatnonzero(photos.labels[rows].any(axis=0))
    names = [photos.class_names[number] for number in present]
    kinds = _words_in(flashlight.index)
    words = frozenset[str]().union(*kinds.values())
    if unknown := dict.fromkeys((name for name in names if name not in words), 0):
        told = unknown_classes(unknown, sorted(words), ClassMap(), what=photos.name)
        raise DataError(f"not all classes of {photos.name} are a word of the index: {told}")
    classes = () if flashlight.detector is None else flashlight.detector.classes
    if classes and (others := [name for name in names if name not in classes]):
        logger.warning(
            "%s of %s no class of the detector, so that no dot is on an object of its class there: %s",
            counted(len(others), "class", "classes"),
            f"{photos.name} {'is' if len(others) == 1 else 'are'}",
            ", ".join(others[:_NAMED]) + ", …" * (len(others) > _NAMED),
        )
    return tuple(kind for kind, own in kinds.items() if not own.isdisjoint(names))


def _words_in(index: Snapshot) -> dict[str, frozenset[str]]:
    """All words of each kind that rows of an index have."""
    version = index.version
    rows = np.arange(len(version))
    labels = version.column("labels", rows).flatten().unique().to_pylist()
    objects = version.column("object", rows).drop_null().unique().to_pylist()
    tags = (tag.word for own in version.tags.values() for tag in own)
    words = (frozenset(map(to_text, labels)), frozenset(map(to_text, objects)), frozenset(tags))
    return dict(zip(KINDS, words, strict=True))


def _parts(marked: Boxes, image: Image.Image) -> list[tuple[Part, int]]:
    """The marked objects of a photo that are searched for, in whole pixels, and their classes."""
    corners = np.rint(marked.boxes).clip(0, [*image.size, *image.size])
    large = (corners[:, 2:] - corners[:, :2]).min(axis=1, initial=np.inf) >= SMALLEST
    chosen = np.flatnonzero(large & ~marked.difficult)
    return [(Part(_box(corners[place])), int(marked.classes[place])) for place in chosen.tolist()]


def _box(corners: NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = corners.tolist()
    return x0, y0, x1, y1
