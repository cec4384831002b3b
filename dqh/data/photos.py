"""Images as they are named on a command line: folders, list files, tables in Parquet files, single images."""

import copy
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.data_file import require_files
from dqh.data.images import EXTENSIONS, ImageFiles, Limits, has_image_name
from dqh.data.list_file import Line, alike, read_list
from dqh.data.listing import ImageWalk, holds_image
from dqh.data.parquet_table import Table, Tables, unnamed
from dqh.data.pixels import decode
from dqh.data.source import Source, content_hash
from dqh.errors import BadImageError, DataError
from dqh.plural import counted

logger = logging.getLogger(__name__)

_TABLE_ROW = re.compile(r"(?P<table>.+\.parquet)#(?P<row>[0-9]{1,18})", re.DOTALL | re.IGNORECASE)
_WANTED = "give folders, list files, .parquet tables or image files"


class Photo(NamedTuple):
    """An image of a collection.

    Attributes:
        path: absolute; that of a row of a table is the path of the table, `#` and the row, from 0.
        labels: any number of them; None where what names the image says nothing of labels.
        table: number of the table, or None for a file.
        row: of the table.
        fault: why what names it cannot be used, as a list line or a row of a table; "" where it can.
    """

    path: str
    labels: tuple[str, ...] | None = None
    table: int | None = None
    row: int = 0
    fault: str = ""


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

    Attributes:
        photos: the images.

    Args:
        paths: at least one.
        limits: the caps on one image.

    Raises:
        DataError: a path is not there, cannot be read, or is a pipe, a socket or a device; a list or table is none; or
            there are no images.
    """

    name = "images"
    size = None

    def __init__(self, paths: Sequence[str | Path], *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._files = ImageFiles(Path("/"), self._limits)
        tables: list[Path] = []
        absolute = [located(os.fsdecode(path)) for path in paths]
        walk = ImageWalk()
        self.photos = _each_once(photo for path in absolute for photo in _named(path, walk, tables))
        walk.tell()
        self._tables = Tables(tables)
        self._named_paths, self._unlisted = absolute, walk.unlisted
        if not self.photos:
            raise DataError(
                f"no images in {', '.join(map(str, paths))}: looked for *{{{','.join(sorted(EXTENSIONS))}}} in "
                "folders, and for files that hold images whatever their names"
            )
        if all(photo.fault for photo in self.photos):
            first = self.photos[0]
            others = " (and so on: no line or row can be used)" if len(self.photos) > 1 else ""
            raise DataError(f"{first.path}: {first.fault}{others}")

    @property
    def common_folder(self) -> str:
        """The folder that all paths given lie in, or the one that was given."""
        folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in self._named_paths]  # noqa: PTH112, PTH120
        return os.path.commonpath(folders)

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
        photo = self.photos[row]
        if photo.table is None and not photo.fault:
            return self._files.read(photo.path)
        return decode(self._encoded(photo), max_pixels=self._limits.max_pixels)

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file, or the encoded image, of a row; `BadImageError` where it cannot be read."""
        photo = self.photos[row]
        if photo.table is None and not photo.fault:
            return self._files.content_hash(photo.path)
        return content_hash(self._encoded(photo))

    def _encoded(self, photo: Photo) -> bytes:
        """The encoded image of a row of a table."""
        if photo.fault or photo.table is None:
            raise BadImageError(photo.fault)
        return self._tables.content(photo.table, photo.row, max_bytes=self._limits.max_bytes)

    def some(self, rows: Sequence[int]) -> "Photos":
        """A collection of some rows alone, in their order; it can be sent to another process."""
        part = copy.copy(self)
        part.__dict__.pop("ids", None)
        part.photos, part._unlisted = tuple(self.photos[row] for row in rows), {}
        return part

    def __len__(self) -> int:
        return len(self.photos)


def _named(path: str, walk: ImageWalk, tables: list[Path]) -> Iterator[Photo]:
    """The images that one path stands for; a table is added to the others."""
    if has_image_name(path) and os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
        yield Photo(path)
    elif os.path.isdir(path):  # noqa: PTH112
        for image in sorted(walk.below(path)):
            folder = os.path.dirname(image)  # noqa: PTH120
            yield Photo(image, None if folder == path else (os.path.basename(folder),))  # noqa: PTH119
    elif not os.path.lexists(path):
        raise DataError(f"no images at {path}: {_WANTED}")
    elif path.lower().endswith(".parquet"):
        tables.append(Path(path))
        yield from _of_table(path, len(tables) - 1)
    elif holds_image(path):
        yield Photo(path)
    else:
        require_files([Path(path)], kind="list file", advice=_WANTED)
        yield from _listed(path)


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


def read_photo(path: str, *, limits: Limits | None = None) -> Image.Image:
    """The RGB image of a path as `Photo` has it.

    Raises:
        BadImageError: it is not there, or cannot be read or decoded.
    """
    limits = limits or Limits()
    return decode(photo_content(path, limits=limits), max_pixels=limits.max_pixels)


def photo_content(path: str, *, limits: Limits | None = None) -> bytes:
    """The encoded image of a path as `Photo` has it; `dqh.data.source.content_hash` of it is what an index keeps.

    Raises:
        BadImageError: it is not there, or cannot be read.
    """
    limits = limits or Limits()
    of_table = _TABLE_ROW.fullmatch(path)
    if of_table is None or os.path.lexists(path):
        return ImageFiles(Path("/"), limits).content(path)
    try:
        table = Tables([Path(of_table["table"])])
        return table.content(0, int(of_table["row"]), max_bytes=limits.max_bytes)
    except (DataError, IndexError) as error:
        raise BadImageError(str(error)) from error


def _listed(path: str) -> Iterator[Photo]:
    """The images of a list file."""
    folder = str(Path(path).parent)
    for line in alike(list(read_list(Path(path), bare=True)), bare=True):
        yield Photo(line.where, fault=line.fault) if line.fault else Photo(located(line.path, folder), _labels(line))


def _labels(line: Line) -> tuple[str, ...] | None:
    """The labels of a line: its one class, or those that have a 1 in their column."""
    if not line.cells:
        return None
    if len(line.cells) == 1:
        return line.cells if line.cells[0] else ()
    names = line.names or map(str, range(len(line.cells)))
    return tuple(name for name, cell in zip(names, line.cells, strict=True) if cell == "1")


def _of_table(path: str, number: int) -> Iterator[Photo]:
    """The rows of a table; what it has no labels for keeps those that an index has."""
    table = Table(Path(path))
    if "label" not in table.columns:
        yield from (Photo(f"{path}#{row}", None, number, row) for row in range(table.rows))
        return
    values, empty, faults = table.labels("label")
    names = table.class_names("label")
    for row, value in enumerate(values if isinstance(values, list) else values.tolist()):
        fault = faults.get(row, "")
        if not (fault or empty[row]) and names and isinstance(value, int):
            fault = unnamed(value, names)
        text = names[value] if names and isinstance(value, int) and not fault else str(value)
        yield Photo(f"{path}#{row}", () if empty[row] else (text,), number, row, fault)


def located(path: str, folder: str | None = None) -> str:
    """The absolute path of what a path names, in one spelling; links are kept.

    `..` behind a link leads out of the folder that it points to, as everywhere in the system.

    Args:
        path: absolute, or relative to the folder.
        folder: absolute; None for the working directory.
    """
    whole = os.path.join(os.getcwd() if folder is None else folder, path)  # noqa: PTH109, PTH118
    parts = whole.split("/")
    if ".." not in parts:
        return os.path.normpath(whole)
    shared = "/"
    for number, part in enumerate(parts):
        if part != "..":
            shared = os.path.normpath(os.path.join(shared, part))  # noqa: PTH118
        elif os.path.isdir(shared):  # noqa: PTH112
            above = os.path.realpath(shared) if os.path.islink(shared) else shared  # noqa: PTH114
            shared = os.path.dirname(above)  # noqa: PTH120
        else:  # the system refuses it
            return os.path.join(shared, *parts[number:])  # noqa: PTH118
    return shared
