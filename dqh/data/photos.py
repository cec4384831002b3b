"""Images as they are named on a command line: folders, list files, tables in Parquet files, single images.

Each may lie on this machine or in a store, as `dqh.remote` reads them by their URL.
"""

import copy
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh import remote
from dqh.data.data_file import Location
from dqh.data.images import EXTENSIONS, Limits
from dqh.data.listing import ImageWalk
from dqh.data.parquet_table import Tables
from dqh.data.photo_files import file_content, located
from dqh.data.photo_names import Photo, named_photos, unreachable
from dqh.data.pixels import decode
from dqh.data.reading_ahead import in_order
from dqh.data.source import Source, content_hash
from dqh.errors import BadImageError, DataError
from dqh.plural import counted
from dqh.urls import common_folder, folder_of, is_url, store_of

logger = logging.getLogger(__name__)

_THREADS = 16  # that ask a store at a time, for each answer of which there is a wait


class Photos(Source):
    """The images that some paths name, each once, in the order of the paths.

    A folder stands for everything below it that is named like an image or holds one, sorted, links followed, hidden and
    file managers' own files left out; the folder that an image lies in is its label, but for the one that was named,
    which gives none. A table (`.parquet`, columns as for `dqh.data.Parquet`) stands for its rows; `label` holds
    integers or texts, or is not there, and a null is no label. A file that is named like an image or holds one stands
    for itself. Any other file is a list, see `dqh.data.list_file.read_list`: a path a line, absolute or relative to the
    folder of the list, and behind it nothing, one class, or a 0 or 1 for each label, which is named by the header, else
    by its number. An image that is named again with other labels keeps its first ones, and a warning says so.

    A line or row that cannot be used, as one with another number of labels than most, is an unusable image of the name
    `LIST:LINE` or `TABLE#ROW`.

    Each of these may be named by a URL, `s3://bucket/photos`, and a line of a list may hold one. What lies in a folder
    of a store is told by its name alone: a look into each object would be a request each. Each store that is named is
    asked once, so that what is wrong with all of it is told before anything else is done.

    Attributes:
        photos: the images.

    Args:
        paths: at least one.
        limits: the caps on one image.

    Raises:
        DataError: a path is not there, cannot be read, or is a pipe, a socket or a device; a list or table is none; a
            store cannot be reached; or there are no images.
        RemoteError: a URL is not taken, or its file system is not installed.
    """

    name = "images"
    size = None

    def __init__(self, paths: Sequence[str | Path], *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        tables: list[Location] = []
        absolute = [located(os.fsdecode(path)) for path in paths]
        walk = ImageWalk()
        self.photos = _each_once(photo for path in absolute for photo in named_photos(path, walk, tables))
        walk.tell()
        self._tables = Tables(tables)
        self._named_paths, self._unlisted, self._folders = absolute, walk.unlisted, frozenset(walk.url_folders)
        if not self.photos:
            raise DataError(
                f"no images in {', '.join(map(str, paths))}: looked for *{{{','.join(sorted(EXTENSIONS))}}} in "
                "folders, and for files that hold images whatever their names"
            )
        if all(photo.fault for photo in self.photos):
            first = self.photos[0]
            others = " (and so on: no line or row can be used)" if len(self.photos) > 1 else ""
            raise DataError(f"{first.path}: {first.fault}{others}")
        _require_stores(self.photos)

    @property
    def common_folder(self) -> str:
        """The folder that all paths given lie in, or the one that was given.

        Where they are of several stores, or of one and of this machine, it is that of those which lie where the first
        one does.
        """
        first = self._named_paths[0]
        if not is_url(first):
            own = [path for path in self._named_paths if not is_url(path)]
            folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in own]  # noqa: PTH112, PTH120
            return os.path.commonpath(folders)
        own = [path for path in self._named_paths if is_url(path) and store_of(path) == store_of(first)]
        return common_folder(path if path in self._folders else folder_of(path) for path in own)

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """(N,) the absolute paths; bytes that are not UTF-8 are kept as lone surrogates."""
        return np.array([photo.path for photo in self.photos], np.str_)

    @property
    def labels(self) -> NDArray[np.bool_]:
        """(N, C) whether a row has a label."""
        numbers = {name: number for number, name in enumerate(self.class_names)}
        labels = np.zeros((len(self), len(numbers)), np.bool_)
        for row, photo in enumerate(self.photos):
            labels[row, [numbers[name] for name in photo.labels or ()]] = True
        return labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels that there are, sorted."""
        return tuple(sorted({label for photo in self.photos for label in photo.labels or ()}))

    @property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """None."""
        return {}

    @property
    def unlisted(self) -> Mapping[str, str]:
        """Folders that cannot be looked into, and why."""
        return self._unlisted

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row; `BadImageError` where it cannot be read or decoded."""
        return decode(self._content(self.photos[row]), max_pixels=self._limits.max_pixels)

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file, or the encoded image, of a row; `BadImageError` where it cannot be read."""
        return content_hash(self._content(self.photos[row]))

    def content_hashes(self, rows: Iterable[int]) -> Iterator[tuple[int, bytes | ValueError]]:
        """Each of some rows, in order, with its `content_hash` or what that raises; stores are asked ahead."""

        def hashed(row: int) -> bytes | ValueError:
            try:
                return self.content_hash(row)
            except ValueError as error:
                return error

        def in_store(row: int) -> bool:
            photo = self.photos[row]
            return photo.table is None and not photo.fault and is_url(photo.path)

        return in_order(hashed, rows, threads=_THREADS, may_wait=in_store)

    def _content(self, photo: Photo) -> bytes:
        """The encoded image of a row."""
        if photo.fault:
            raise BadImageError(photo.fault)
        if photo.table is None:
            return file_content(photo.path, limits=self._limits)
        return self._tables.content(photo.table, photo.row, max_bytes=self._limits.max_bytes)

    def some(self, rows: Sequence[int]) -> "Photos":
        """A collection of some rows alone, in their order; it can be sent to another process."""
        part = copy.copy(self)
        part.__dict__.pop("ids", None)
        part.photos, part._unlisted = tuple(self.photos[row] for row in rows), {}
        return part

    def __len__(self) -> int:
        return len(self.photos)


def _require_stores(photos: Sequence[Photo]) -> None:
    """Ask each store of some images for its first one; `DataError` where it cannot be reached."""
    first: dict[str, str] = {}
    for photo in photos:
        if photo.table is None and not photo.fault and is_url(photo.path):
            first.setdefault(store_of(photo.path), photo.path)
    for url in first.values():
        try:
            remote.entry(url)
        except PermissionError:  # some stores say so of what is not there
            continue
        except OSError as error:
            raise unreachable(url, error) from error


def _each_once(photos: Iterable[Photo]) -> tuple[Photo, ...]:
    """Each image as it is named first; that it is named again with other labels is told."""
    first: dict[str, Photo] = {}
    others = {}
    for photo in photos:
        known = first.setdefault(photo.path, photo)
        if photo.labels is not None and photo.labels != known.labels:
            others[photo.path] = photo
    if others:
        path, other = next(iter(others.items()))
        logger.warning(
            "%s named again with other labels; what was named first counts: %s has %s, later %s",
            counted(len(others), "image is", "images are"),
            repr(path),
            _spelt(first[path].labels),
            _spelt(other.labels),
        )
    return tuple(first.values())


def _spelt(labels: tuple[str, ...] | None) -> str:
    return "no labels" if not labels else "/".join(labels)
