"""What is asked by: an item of the index, or an image that a client sent, of all of it or of a part."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image

from dqh.collection.dots import nearest_object
from dqh.collection.objects import Part
from dqh.discovery.understanding import SeenObject, seen_object
from dqh.encoded import Encoded
from dqh.encoding.loaded_encoder import part_of
from dqh.index.store import Box
from dqh.index.store.filtering import matching
from dqh.index.store.rows import StoredRow
from dqh.index.store.where import In
from dqh.service import fields
from dqh.service.freed_memory import give_back
from dqh.service.image_shares import parse_box, parse_dot, pixels
from dqh.service.image_workers import ImageWorkers
from dqh.service.refusals import RequestError
from dqh.service.served import Served
from dqh.service.stored_images import StoredImages
from dqh.service.watch import Watch

_LARGE = 4_000_000
"""Pixels of an image from which on its memory is given back at once."""


class Queries:
    """Makes queries of what is asked. Threads may share it.

    Args:
        workers: that decode images.
        images: of the index.
        at_a_time: images in memory.
    """

    def __init__(self, workers: ImageWorkers, images: StoredImages, *, at_a_time: int) -> None:
        self._workers, self._images = workers, images
        self._gate = threading.BoundedSemaphore(at_a_time)

    def stored(self, served: Served, number: int) -> StoredRow:
        """The row of an id; RequestError (404) where there is none."""
        return served.version.rows(np.array([_place(served, number)]))[0]

    def row(self, served: Served, number: int | None, content: bytes | None) -> int | None:
        """Where the item that is named stands; None where an image was sent instead."""
        if (number is None) == (content is None):
            raise RequestError(400, "send an image as the body of a POST, or name an item by id in a GET")
        return None if number is None else _place(served, number)

    def encoded(
        self, served: Served, row: int | None, asked: fields.SearchAsked, content: bytes | None, watch: Watch
    ) -> tuple[Encoded, tuple[int, int], Box | None]:
        """An image, or a part of it, as a query; its size; and the part, pixels."""
        encoder = served.flashlight.encoder
        with self.image(served, row, content, watch) as image:
            size = image.size
            box = None if asked.box is None else pixels(parse_box(asked.box), size)
            if asked.dot is not None:
                x, y = parse_dot(asked.dot)
                box = self._under((x * size[0], y * size[1]), self.parts(served, row, image))
                watch.stage("detect")
            arrays = encoder.arrays([part_of(image, box)])
        watch.stage("shrink")
        encoded = encoder.encode(arrays)
        watch.stage("encode")
        return encoded, size, box

    def encoded_with_objects(
        self, served: Served, content: bytes, watch: Watch, *, most: int
    ) -> tuple[Encoded, tuple[SeenObject, ...], tuple[int, int]]:
        """An image that was sent and its objects, as queries, the whole first; its objects, and its size.

        Args:
            served: whose detector sees the objects; none where its index has none.
            content: of the image.
            watch: is told the stages.
            most: objects, the surest.
        """
        flashlight = served.flashlight
        with self.image(served, None, content, watch) as image:
            size, parts = image.size, list[Part]()
            if served.version.manifest.detector_id is not None and flashlight.detector is not None:
                parts = list(flashlight.seen(image)[:most])
                watch.stage("detect")
            arrays = flashlight.encoder.arrays([part_of(image, part.box) for part in (Part(), *parts)])
        watch.stage("shrink")
        encoded = flashlight.encoder.encode(arrays)
        watch.stage("encode")
        return encoded, tuple(seen_object(part, size) for part in parts), size

    @contextmanager
    def image(self, served: Served, row: int | None, content: bytes | None, watch: Watch) -> Iterator[Image.Image]:
        """The image that was sent or is named; as many are in memory at a time as there are workers."""
        if served.flashlight.encoder.interface.spec.kind != "image":
            raise RequestError(409, "the encoder of this index takes vectors, not images; ask by id")
        if content is None:
            assert row is not None
            content = self._images.content(served.version.rows(np.array([row]))[0], served.version.manifest.root)
        with self._gate:
            watch.stage("wait")
            image = self._workers.image(content)
            watch.stage("decode")
            is_large = image.width * image.height > _LARGE
            try:
                yield image
            finally:
                image.close()  # an error that is told holds it otherwise, until rubbish is collected
                if is_large:
                    give_back()

    def parts(self, served: Served, row: int | None, image: Image.Image) -> Sequence[Part]:
        """The objects that the index has of an item, else those that the detector sees."""
        if row is not None and served.version.manifest.detector_id is not None:
            beside = self.beside(served, served.version.rows(np.array([row]))[0])
            own = [Part(other.box, other.object, other.score) for other in beside if other.object is not None]
            return sorted(own, key=lambda part: -(part.score or 0.0))
        require_detector(served)
        return served.flashlight.seen(image)

    def beside(self, served: Served, row: StoredRow) -> list[StoredRow]:
        """All rows of the image of a row, itself among them, by id."""
        if served.version.manifest.detector_id is None:
            return [row]
        return served.version.rows(matching(In("path", (row.path,)), served.version))

    def _under(self, dot: tuple[float, float], parts: Sequence[Part]) -> Box:
        nearest = nearest_object(dot, parts)
        if nearest is None:
            raise RequestError(422, "no object is seen in the image; ask by all of it, or by a box")
        part, box, away = nearest
        if away > 0:
            raise RequestError(
                422,
                f"no object is under the dot; the nearest is a {part.object}, {away:.0f} pixels away; ask by a box, or "
                "put the dot into one of the objects",
            )
        return box


def require_detector(served: Served) -> None:
    """RequestError (409) where objects of photos cannot be seen."""
    if served.flashlight.detector is None:
        raise RequestError(
            409,
            "this service was started without a detector, so that nothing tells what a photo shows; ask by a box or by "
            "all of it, or start it with a detector: dqh serve INDEX --detector DETECTOR",
        )


def _place(served: Served, number: int) -> int:
    """Where the row of an id stands in the version."""
    row = served.row(number)
    if row is None:
        raise RequestError(404, f"no item {number} in version {served.number} of the index")
    return row
