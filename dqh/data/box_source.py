"""Data sets whose photos have boxes: one protocol for all kinds of annotation files.

A row is a photo, and its labels are the classes of its boxes, so that splits, the check for leaks, hashes and training
by labels work as for every other source. Photos without boxes are negatives: rows without a label.

**The frame.** Boxes are taken to be in pixels of the upright photo, as EXIF turns it: what viewers and annotation tools
that heed EXIF show. An annotation that states the size of the photo must state that of the upright one. One that states
the size of the pixels as they are stored is refused with the advice to take the orientation out of the file; a turn by
180°, which leaves the size as it is, and annotations without a size cannot be told so.
"""

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqh.data.annotations import Annotation, Annotations, Mark
from dqh.data.boxes import Boxes, clip, no_boxes
from dqh.data.class_map import ClassMap, read_class_map, unknown_classes
from dqh.data.images import Limits
from dqh.data.listed import FileSource, Listing
from dqh.data.skipped import check_unusable
from dqh.errors import BadImageError, ConfigError, DataError
from dqh.plural import counted


class BoxSource(FileSource):
    """Photos below a root, with the boxes that annotation files give them.

    An annotation that cannot be read makes no row and counts as an unusable image, since nobody knows what is in its
    photo. A box that cannot be used (no class, no area, none in the photo, a coordinate that is no finite number) is
    left out of its photo, which stays, and is listed in `skipped.csv`. More than `max_bad_fraction` of the annotations,
    or of the boxes, stop the run. A photo that cannot be read stays a row, to be told when it is decoded.

    Sizes come from the headers of the photos, which are all read when labels or boxes are first asked for.

    Args:
        root: the folder that all paths are relative to.
        name: what reports call the data set; None for the name of the folder.
        otherwise: its name where the folder has none.
        classes: the names of the C classes, in order; None: those in the annotations.
        class_map: a CSV file with other names of classes, see `dqh.data.class_map`, relative to `root` or absolute.
        max_bad_fraction: the largest fraction of unusable images, and of unusable boxes, that a run accepts, 0 … 1.
        limits: the caps on one image.

    Raises:
        ConfigError: a value is impossible.
        DataError: the class map is not there, or wrong.
    """

    def __init__(
        self,
        root: Path,
        name: str | None,
        *,
        otherwise: str,
        classes: Sequence[str] | None,
        class_map: str | None,
        max_bad_fraction: float,
        limits: Limits,
    ) -> None:
        super().__init__(root, name, otherwise=otherwise, max_bad_fraction=max_bad_fraction, limits=limits)
        self._classes = None if classes is None else tuple(classes)
        if self._classes is not None:
            twice = sorted({name for name in self._classes if self._classes.count(name) > 1})
            if twice or not self._classes or "" in self._classes:
                got = f"{twice[0]!r} twice" if twice else "an empty name" if self._classes else "none"
                raise ConfigError(f"classes must be names that differ and are not empty, got {got}")
        self._class_map = ClassMap() if class_map is None else read_class_map(root / class_map)

    @abstractmethod
    def _annotations(self) -> Annotations:
        """What the files say; `DataError` where they say nothing."""

    def boxes(self, row: int) -> Boxes:
        """The boxes of a row.

        Raises:
            BadImageError: its photo cannot be read, so that nobody knows how large it is; the text is the reason.
        """
        if reason := self._read.unread.get(row):
            raise BadImageError(reason)
        return self._read.boxes[row]

    @property
    def unusable_parts(self) -> Mapping[str, str]:
        """Boxes that are left out, and why."""
        return self._read.faults

    @cached_property
    def boxes_sha256(self) -> str:
        """Hexadecimal SHA-256 of ids, class names and all boxes: two data sets of one hash are annotated alike.

        The fingerprint of a split holds labels and photos, not boxes.
        """
        names = json.dumps([self.ids.tolist(), self.class_names], ensure_ascii=True)
        digest = hashlib.sha256(names.encode("ascii"))
        for boxes, classes, difficult in self._read.boxes:
            digest.update(len(classes).to_bytes(8, "little"))
            digest.update(boxes.astype("<f4").tobytes() + classes.astype("<i8").tobytes() + difficult.tobytes())
        return digest.hexdigest()

    @property
    def _listing(self) -> Listing:
        return self._read.listing

    @cached_property
    def _read(self) -> "_Read":
        read = self._annotations()
        photos, sizes, unread, unusable = self._sized(read)
        total = len(read.photos) + len(read.unusable)
        check_unusable(unusable, total=total, source=self, noun="annotation")
        class_names = self._class_names(photos, read.names)
        number = {name: place for place, name in enumerate(class_names)}
        faults = dict(read.stray)
        boxes = [
            self._clipped(photo, size, number, faults) if size is not None else no_boxes()
            for photo, size in zip(photos, sizes, strict=True)
        ]
        marks = sum(len(photo.marks) for photo in photos) + len(read.stray)
        check_unusable(faults, total=marks, source=self, noun="annotated object")
        labels = np.zeros((len(photos), len(class_names)), dtype=np.bool_)
        for row, content in enumerate(boxes):
            labels[row, content.classes] = True
        paths = [photo.path for photo in photos]
        roles = {
            role: np.array([row for row, path in enumerate(paths) if path in members], dtype=np.int64)
            for role, members in read.roles.items()
        }
        listing = Listing(np.array(paths, dtype=np.str_), labels, class_names, roles, unusable, {})
        return _Read(listing, boxes, unread, faults)

    def _sized(
        self, read: Annotations
    ) -> tuple[list[Annotation], list[tuple[int, int] | None], dict[int, str], dict[str, str]]:
        """Annotations that fit their photos, the sizes of these, why some cannot be read, and what makes no row."""
        photos: list[Annotation] = []
        sizes: list[tuple[int, int] | None] = []
        unread: dict[int, str] = {}
        unusable = dict(read.unusable)
        for photo in read.photos:
            try:
                size = self._files.upright_size(photo.path)
            except BadImageError as error:
                unread[len(photos)], size = str(error), None
            if size is not None and (fault := _misfit(photo, size)):
                unusable[photo.where] = fault
                continue
            photos.append(photo)
            sizes.append(size)
        return photos, sizes, unread, unusable

    def _class_names(self, photos: Sequence[Annotation], stated: tuple[str, ...] | None) -> tuple[str, ...]:
        """The names of the classes; `DataError` where there are none, or where boxes have others."""
        names = Counter(mark.name for photo in photos for mark in photo.marks if not mark.fault)
        meant = {name: self._class_map(name) for name in (*(stated or ()), *names)}
        if self._classes is not None:
            classes = self._classes
        else:
            ordered: Iterable[str | None] = (
                sorted({name for name in meant.values() if name}) if stated is None else map(meant.get, stated)
            )
            classes = tuple(dict.fromkeys(name for name in ordered if name))
        unknown = {name: count for name, count in names.items() if meant[name] and meant[name] not in classes}
        if unknown:
            raise DataError(unknown_classes(unknown, classes, self._class_map, what=self.name))
        if not classes:
            raise DataError(
                f"no classes: no box in {counted(len(photos), 'photo')} of {self.name}; give classes=[…] where all of "
                "them are negatives"
            )
        return classes

    def _clipped(
        self, photo: Annotation, size: tuple[int, int], number: Mapping[str, int], faults: dict[str, str]
    ) -> Boxes:
        """The boxes of a photo; those that cannot be used become `faults`."""
        marks: list[Mark] = []
        for mark in photo.marks:
            if mark.fault:
                faults[mark.where] = mark.fault
            elif self._class_map(mark.name) is not None:
                marks.append(mark)
        if not marks:
            return no_boxes()
        cut, reasons = clip(np.array([mark.box for mark in marks]), width=size[0], height=size[1])
        good = [place for place, reason in enumerate(reasons) if not reason]
        faults.update({marks[place].where: reason for place, reason in enumerate(reasons) if reason})
        classes = [number[self._class_map(marks[place].name) or ""] for place in good]
        difficult = [marks[place].difficult for place in good]
        return Boxes(cut[good], np.array(classes, dtype=np.int64), np.array(difficult, dtype=np.bool_))


class _Read(NamedTuple):
    """Rows, the boxes of each, why the photos of some cannot be read, and why boxes are left out."""

    listing: Listing
    boxes: list[Boxes]
    unread: dict[int, str]
    faults: dict[str, str]


def _misfit(photo: Annotation, size: tuple[int, int]) -> str:
    """Why an annotation is not one of the upright photo, by the size that it states; "" where it may be."""
    if photo.size in (None, size):
        return ""
    assert photo.size is not None
    stated, upright = (f"{width} × {height}" for width, height in (photo.size, size))
    if photo.size == size[::-1]:
        return (
            f"its boxes are of {stated} pixels as the file stores them, but {photo.path!r} stands upright at {upright}"
            "; turn the boxes, or take the orientation out of the EXIF of the photo"
        )
    return f"it is of a photo of {stated} pixels, but {photo.path!r} has {upright}; give the photo it is of"
