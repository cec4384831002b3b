"""The images of an index, by the ids of its rows: their content, and small pictures of them, which are kept in memory.

A path comes from the index alone, never from a client, and what lies there is served only while it is what was indexed,
by its hash: a file that was changed, or put in its place, is not.
"""

import logging
import threading
from collections import OrderedDict
from typing import NamedTuple

from dqh.collection.artifact_note import absolute
from dqh.data.images import Limits
from dqh.data.photo_files import photo_content
from dqh.data.source import content_hash
from dqh.errors import BadImageError
from dqh.index.store.rows import StoredRow
from dqh.service.image_workers import ImageWorkers
from dqh.service.refusals import RequestError

logger = logging.getLogger(__name__)

SIZES = 2**17
"""Images whose sizes are kept."""

SIDES = {"thumbnail": 320, "preview": 1600}
"""Most pixels of the longer side of a picture."""


class PictureKey(NamedTuple):
    """Of what a picture is, and how large."""

    content: bytes
    side: int


class StoredImages:
    """What is shown of the images of an index.

    Args:
        workers: that decode.
        limits: the caps on one image.
        kept_bytes: of pictures in memory, all together; those asked for longest ago go first.

    Attributes:
        bytes: of the pictures that are kept.
        hits: how often a picture was there.
        misses: how often it was not.
    """

    def __init__(self, workers: ImageWorkers, *, limits: Limits, kept_bytes: int) -> None:
        self._workers, self._limits, self._kept_bytes = workers, limits, kept_bytes
        self._pictures: OrderedDict[PictureKey, bytes] = OrderedDict()
        self._sizes: OrderedDict[bytes, tuple[int, int] | None] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = self.hits = self.misses = 0

    def content(self, row: StoredRow, root: str) -> bytes:
        """The encoded image of a row, as it was indexed.

        Raises:
            RequestError: it is not there any more, or not as it was (404).
        """
        try:
            content = photo_content(absolute(row.path, root), limits=self._limits)
        except BadImageError as error:
            logger.warning("the image of item %d cannot be read: %s", row.id, error)
            raise RequestError(404, f"the image of item {row.id} cannot be read any more") from error
        if content_hash(content) != row.content_hash:
            raise RequestError(404, f"the image of item {row.id} has changed since it was indexed; index it again")
        return content

    def picture(self, row: StoredRow, root: str, *, side: int) -> bytes:
        """A JPEG of the image of a row, its longer side at most `side` pixels; errors as of `content`, and 422."""
        key = PictureKey(row.content_hash, side)
        with self._lock:
            if key in self._pictures:
                self.hits += 1
                self._pictures.move_to_end(key)
                return self._pictures[key]
            self.misses += 1
        picture = self._workers.picture(self.content(row, root), side=side)
        with self._lock:
            self.bytes += len(picture) - len(self._pictures.pop(key, b""))
            self._pictures[key] = picture
            while self.bytes > self._kept_bytes:
                self.bytes -= len(self._pictures.popitem(last=False)[1])
        return picture

    def size(self, row: StoredRow, root: str) -> tuple[int, int] | None:
        """Width and height of the upright image of a row; None where that cannot be told."""
        with self._lock:
            if row.content_hash in self._sizes:
                return self._sizes[row.content_hash]
        size: tuple[int, int] | None
        try:
            size = self._workers.size(self.content(row, root))
        except (RequestError, BadImageError):
            size = None
        with self._lock:
            self._sizes[row.content_hash] = size
            while len(self._sizes) > SIZES:
                self._sizes.popitem(last=False)
        return size
