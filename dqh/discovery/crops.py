"""The marked objects of photos as images of their own: which part of its photo stands for one, and a source of it.

N objects.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.box_source import BoxSource
from dqh.data.boxes import square_around, whole_pixels
from dqh.data.source import Source, content_hash
from dqh.errors import BadImageError


class Region(NamedTuple):
    """Which part of a photo stands for an object.

    Attributes:
        name: what tables call it.
        margin: context on each side of the box, as a share of the box's width and height, at least 0; None: the whole
            photo.
        square: whether the shorter side of the box, with its margin, is brought to the length of the longer one, since
            a network that sees the centre square of an image sees no more of a long box than its middle.
    """

    name: str
    margin: float | None
    square: bool = False

    def part(self, box: NDArray[np.float32], width: int, height: int) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 in whole pixels of a photo: what the region shows around a box, as far as the photo goes.

        At least one pixel; where a square would leave the photo, it is moved inside before it is cut.

        Example:
            >>> Region("square", 0.0, square=True).part(np.float32([0, 10, 20, 70]), 100, 100)
            (0, 10, 60, 70)
        """
        if self.margin is None:
            return 0, 0, width, height
        low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
        sides = (high - low) * (1 + 2 * self.margin)
        start = (low + high - sides) / 2
        if self.square:
            return square_around([*start, *(start + sides)], width=width, height=height)
        return whole_pixels(start, sides, np.array([width, height], np.float64))


WHOLE = Region("whole photo", None)
TIGHT = Region("box", 0.0)


class Crops(Source):
    """The objects that are marked in photos, a row each, in the order of the photos; difficult ones are left out.

    Their classes are those of the boxes, their roles those of their photos, their ids those of the photos, with `#` and
    the number of the object in its photo behind. Photos that cannot be read have no objects and count as unusable.

    Args:
        photos: with boxes.
        region: which part of its photo stands for an object.

    Attributes:
        photos: as given.
        region: as given.
    """

    size = None

    def __init__(self, *, photos: BoxSource, region: Region = TIGHT) -> None:
        self.photos, self.region = photos, region
        self.name, self.max_bad_fraction = photos.name, photos.max_bad_fraction
        self._last: tuple[int, Image.Image] | None = None

    @property
    def photo_rows(self) -> NDArray[np.int64]:
        """(N,) the row of each object's photo."""
        return self._objects.photos

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) x0, y0, x1, y1 in pixels of the upright photo."""
        return self._objects.boxes

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) the class of each object."""
        return self._objects.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of the photos."""
        return self.photos.class_names

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """(N,) `photo#number`."""
        objects = self._objects
        names = self.photos.ids[objects.photos].tolist()
        return np.array([f"{name}#{number}" for name, number in zip(names, objects.numbers, strict=True)], np.str_)

    @property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The objects of the photos of each role."""
        return {role: self.rows_of(photos) for role, photos in self.photos.roles.items()}

    @property
    def unusable(self) -> Mapping[str, str]:
        """What the photos name that makes no row, and photos that cannot be read."""
        return {**self.photos.unusable, **self._objects.unread}

    @property
    def unusable_parts(self) -> Mapping[str, str]:
        """As of the photos."""
        return self.photos.unusable_parts

    @property
    def unlisted(self) -> Mapping[str, str]:
        """As of the photos."""
        return self.photos.unlisted

    def rows_of(self, photos: NDArray[np.int64]) -> NDArray[np.int64]:
        """The objects of some photos, ascending."""
        return np.flatnonzero(np.isin(self._objects.photos, photos))

    def read(self, row: int) -> Image.Image:
        """The part of its photo that stands for an object; `BadImageError` where the photo cannot be decoded.

        The photo read last is kept, so that the objects of one cost one decoding if they follow each other.
        """
        photo = int(self._objects.photos[row])
        if self._last is None or self._last[0] != photo:
            self._last = photo, self.photos.read(photo)
        image = self._last[1]
        return image.crop(self.region.part(self._objects.boxes[row], *image.size))

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file of the photo, and the box; `BadImageError` where it cannot be read."""
        photo = self.photos.content_hash(int(self._objects.photos[row]))
        return content_hash(photo + self._objects.boxes[row].astype("<f4").tobytes())

    @cached_property
    def _objects(self) -> "_Objects":
        photos, numbers, boxes, classes = [], [], [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int64)]
        unread: dict[str, str] = {}
        for photo in range(len(self.photos)):
            try:
                marked = self.photos.boxes(photo)
            except BadImageError as error:
                unread[str(self.photos.ids[photo])] = str(error)
                continue
            own = np.flatnonzero(~marked.difficult)
            photos += [photo] * len(own)
            numbers += own.tolist()
            boxes.append(marked.boxes[own])
            classes.append(marked.classes[own])
        return _Objects(np.array(photos, np.int64), numbers, np.concatenate(boxes), np.concatenate(classes), unread)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_last": None}  # a process that gets this source reads its own photos


class _Objects(NamedTuple):
    """Of each object its photo, its number there, its box and its class; and which photos cannot be read, and why."""

    photos: NDArray[np.int64]
    numbers: list[int]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    unread: dict[str, str]
