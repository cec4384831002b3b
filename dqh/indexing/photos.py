"""Images as they are named on a command line: folders, list files, tables in Parquet files, single images."""

import glob
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from dqh.data import Parquet, Source
from dqh.data.images import EXTENSIONS, ImageFiles, Limits, has_image_name
from dqh.data.list_file import Line, is_multi_label, read_list
from dqh.data.listing import ImageWalk, holds_image
from dqh.errors import BadImageError, DataError
from dqh.indexing.places import located

logger = logging.getLogger(__name__)

_TABLE_ROW = re.compile(r"(?P<table>.+\.parquet)#(?P<row>[0-9]{1,18})", re.DOTALL | re.IGNORECASE)
_LIST_BYTES = 2**30


class Photo(NamedTuple):
    """An image of a collection.

    Attributes:
        path: absolute; that of a row of a table is the path of the table, `#` and the row, from 0.
        labels: any number of them; None where what names the image says nothing of labels.
        table: number of the table, or None for a file.
        row: of the table.
    """

    path: str
    labels: tuple[str, ...] | None = None
    table: int | None = None
    row: int = 0


class Photos(Source):
    """The images that some paths name, each once, in the order of the paths.

    A folder stands for everything below it that is named like an image or holds one, sorted, links followed, hidden and
    file managers' own files left out; the folder that an image lies in is its label, but for the one that was named,
    which gives none. A table (`.parquet`, columns as for `dqh.data.Parquet`) stands for its rows; `label` holds
    integers or text, or is not there. A file that is named like an image or holds one stands for itself. Any other file
    is a list, see `dqh.data.list_file.read_list`: a path a line, absolute or relative to the folder of the list, and
    behind it nothing, one class, or a 0 or 1 for each label, which is named by the header, else by its number; as many
    in every line that has any. An image that is named again with other labels keeps its first ones, and a warning says
    so.

    Attributes:
        photos: the images.

    Args:
        paths: at least one.
        limits: the caps on one image.

    Raises:
        DataError: a path is not there or cannot be read, a list or table is malformed, or there are no images.
    """

    name = "images"
    size = None

    def __init__(self, paths: Sequence[str | Path], *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._files = ImageFiles(Path("/"), self._limits)
        self._tables: list[Parquet] = []
        absolute = [located(os.fsdecode(path)) for path in paths]
        walk = ImageWalk()
        self.photos = _each_once(photo for path in absolute for photo in self._named(path, walk))
        walk.tell()
        self._named_paths = absolute
        if not self.photos:
            raise DataError(
                f"no images in {', '.join(map(str, paths))}: looked for *{{{','.join(sorted(EXTENSIONS))}}} in "
                "folders, and for files that hold images whatever their names"
            )

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

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row.

        Raises:
            BadImageError: it cannot be read or decoded.
        """
        photo = self.photos[row]
        return self._files.read(photo.path) if photo.table is None else self._tables[photo.table].read(photo.row)

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file, or the encoded image, of a row.

        Raises:
            BadImageError: it cannot be read.
        """
        photo = self.photos[row]
        if photo.table is None:
            return self._files.content_hash(photo.path)
        return self._tables[photo.table].content_hash(photo.row)

    def __len__(self) -> int:
        return len(self.photos)

    def _named(self, path: str, walk: ImageWalk) -> Iterator[Photo]:
        """The images that one path stands for."""
        if has_image_name(path) and os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
            yield Photo(path)
        elif os.path.isdir(path):  # noqa: PTH112
            for image in sorted(walk.below(path)):
                folder = os.path.dirname(image)  # noqa: PTH120
                yield Photo(image, None if folder == path else (os.path.basename(folder),))  # noqa: PTH119
        elif not os.path.isfile(path):  # noqa: PTH113
            raise DataError(f"no images at {path}: give folders, list files, .parquet tables or image files")
        elif path.lower().endswith(".parquet"):
            table = open_table(path, limits=self._limits)
            self._tables.append(table)
            number = len(self._tables) - 1
            for row, labels in enumerate(_table_labels(path, table)):
                yield Photo(f"{path}#{row}", labels, number, row)
        elif holds_image(path):
            yield Photo(path)
        else:
            yield from _listed(path)


def _each_once(found: Iterable[Photo]) -> tuple[Photo, ...]:
    """Each image as it is named first; that it is named again with other labels is told."""
    first: dict[str, Photo] = {}
    others = {}
    for photo in found:
        known = first.setdefault(photo.path, photo)
        if photo.labels is not None and photo.labels != known.labels:
            others[photo.path] = photo
    if others:
        path, other = next(iter(others.items()))
        logger.warning(
            "%d images are named again with other labels; what named them first counts: %s has %s, later %s",
            len(others),
            repr(path),
            _spelt(first[path].labels),
            _spelt(other.labels),
        )
    return tuple(first.values())


def _spelt(labels: tuple[str, ...] | None) -> str:
    return "no labels" if not labels else "/".join(labels)


def open_table(path: str, *, limits: Limits) -> Parquet:
    """The rows of one table.

    Raises:
        DataError: it is not there.
    """
    file = Path(path)
    return Parquet(
        root=file.parent,
        database=glob.escape(file.name),
        max_pixels=limits.max_pixels,
        max_bytes=limits.max_bytes,
    )


def read_photo(path: str, *, limits: Limits | None = None) -> Image.Image:
    """The RGB image of a path as `Photo` has it.

    Raises:
        BadImageError: it is not there, or cannot be read or decoded.
    """
    limits = limits or Limits()
    of_table = _TABLE_ROW.fullmatch(path)
    if of_table is None or os.path.lexists(path):
        return ImageFiles(Path("/"), limits).read(path)
    try:
        return open_table(of_table["table"], limits=limits).read(int(of_table["row"]))
    except (DataError, IndexError) as error:
        raise BadImageError(str(error)) from error


def _listed(path: str) -> Iterator[Photo]:
    """The images of a list file."""
    file = Path(path)
    if file.stat().st_size > _LIST_BYTES:
        raise DataError(f"{path} has more than {_LIST_BYTES} bytes; is it a list of images?")
    width = 0
    for line in read_list(file, bare=True):
        if line.cells and len(line.cells) != (width := width or len(line.cells)):
            raise DataError(
                f"{line.where}: {len(line.cells)} labels, but lines above have {width}; mend the list, or remove all "
                "its labels"
            )
        yield Photo(located(line.path, str(file.parent)), _labels(line))


def _labels(line: Line) -> tuple[str, ...] | None:
    """The labels of a line: its one class, or those that have a 1 in their column."""
    if not line.cells:
        return None
    if len(line.cells) == 1:
        return line.cells if line.cells[0] else ()
    if not is_multi_label(line.cells):
        raise DataError(
            f"{line.where}: labels {', '.join(line.cells)[:80]}; several columns hold a 0 or 1 for each class; keep "
            "the column of the class alone"
        )
    names = line.names or map(str, range(len(line.cells)))
    return tuple(name for name, cell in zip(names, line.cells, strict=True) if cell == "1")


def _table_labels(path: str, table: Parquet) -> Sequence[tuple[str, ...] | None]:
    """The labels of each row of a table; None where it has no such column."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    kind: Any = schema.field("label").type if "label" in schema.names else None
    if kind is None:
        return [None] * len(table)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return [(table.class_names[label],) for label in table.labels.tolist()]
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"{path}: the column label must hold integers or text, got {kind}")
    try:
        texts = pq.read_table(path, columns=["label"])["label"].to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return [() if text is None else (text,) for text in texts]
