"""The images of a collection beside the rows that an index has of them."""

from collections.abc import Mapping
from typing import NamedTuple

from dqh.collection.artifact_note import relative
from dqh.collection.objects import Part
from dqh.data import Photos
from dqh.index.store import Known, Row, Writer
from dqh.index.store.rows import checked_row, to_bytes
from dqh.progress import Progress


class Compared(NamedTuple):
    """What a run has to do.

    Attributes:
        wanted: rows of the collection that the index lacks or has with other content.
        relabelled: rows of the index as they are labelled now, objects with their images.
        unchanged: images that it has as they are.
        skipped: row of the collection that cannot be read, or that no index can hold → reason.
    """

    wanted: list[int]
    relabelled: list[Row]
    unchanged: int
    skipped: Mapping[int, str]


class CollectionRows:
    """The images of a collection as rows of an index.

    Args:
        writer: of the index, which may be new.
        photos: of the collection.

    Attributes:
        root: folder that paths are relative to.
        paths: of each image in the index.
    """

    def __init__(self, writer: Writer, photos: Photos) -> None:
        self._writer, self._photos = writer, photos
        self.root = photos.common_folder if writer.manifest is None else writer.manifest.root
        self.paths = [self._kept(photo.path) for photo in photos.photos]

    def has(self, path: str) -> bool:
        """Whether the index has an image."""
        try:
            return self._writer.find(path) is not None
        except ValueError:  # no index can
            return False

    def row(self, row: int, content: bytes, part: Part) -> Row:
        """A part of an image as it enters the index; where the collection says nothing of labels, the index is right.

        Args:
            row: of the collection.
            content: hash of the image.
            part: an object, or the whole image.
        """
        path, labels = self.paths[row], self._photos.photos[row].labels
        if labels is None:
            known = self._writer.find(path)
            labels = () if known is None else known.labels
        return Row(path, labels, part.box, content, part.object, part.score)

    def compared(self, classes: tuple[str, ...] = ()) -> Compared:
        """What is new, has changed, or has other labels now; objects have the labels of their image.

        Args:
            classes: that objects may have; a row that cannot hold the longest one is skipped.
        """
        longest = max(classes, key=lambda name: len(to_bytes(name)), default="")
        largest = Part((0, 0, 1, 1), longest, 1.0) if longest else Part()
        wanted, relabelled, unchanged, skipped = list[int](), list[Row](), 0, dict[int, str]()
        progress = Progress("compared", len(self._photos))
        known: dict[int, Known] = {}
        for row, path in enumerate(self.paths):
            try:
                checked_row(self.row(row, b"", largest))
                stored = self._writer.find(path)
            except ValueError as error:  # costs one row, not the run
                skipped[row] = str(error)
                continue
            if stored is None:
                wanted.append(row)
            else:
                known[row] = stored
        progress.advance(len(self._photos) - len(known))
        for row, content in self._photos.content_hashes(known):
            progress.advance(1)
            if isinstance(content, ValueError):  # costs one row, not the run
                skipped[row] = str(content)
            elif content != known[row].content_hash:
                wanted.append(row)
            elif self._photos.photos[row].labels in (None, known[row].labels):
                unchanged += 1
            else:
                whole = self.row(row, content, Part())
                boxes = self._writer.objects(self.paths[row])
                relabelled += [whole, *(whole._replace(box=box) for box in boxes)]
        return Compared(sorted(wanted), relabelled, unchanged, skipped)

    def _kept(self, path: str) -> str:
        """A path as the index has it, which is as it is where it is from before `..` was written."""
        spelt = relative(path, self.root)
        return path if spelt.startswith("../") and self._writer.find(path) is not None else spelt
