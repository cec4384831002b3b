"""Images named by list files: several labels a line, as in the field's `path l_1 … l_C`, or one class."""

import posixpath
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.caps import MAX_PIXELS
from dqh.data.classes import number_classes
from dqh.data.images import MAX_BYTES, ImageFiles, Limits
from dqh.data.list_file import Line, is_class_number, is_multi_label, read_list
from dqh.data.source import Source, check_bad_limit, shown_name
from dqh.errors import ConfigError, DataError


class ImageList(Source):
    """Images in list files of which each gives one role; how these may be written, `read_list` says.

    One column of labels is the class: its numbers if all are whole numbers, else its names. Several columns are a 0 or
    1 for each class. A path in several lists is one row with several roles; named again in one list, it counts once and
    a warning says so. Ids are the paths, in the order in which they first appear. Blank lines mean nothing.

    Args:
        root: the folder that all paths are relative to.
        query: the list file of the queries, relative to `root`.
        database: the list file of the database.
        train: the list file of the images to train on.
        validation: the list file of the images that choose the epoch.
        label: the column of the class, by its name in the header or its number, the path's being 0; None: all columns
            but the path.
        path: the column of the path, by name or number; None: the one that a header calls so, else the first.
        delimiter: the sign between columns; None: as the first line shows.
        classes: the names of the C classes; class numbers then count them from 0. None: the names in the lists or in
            their header, else the numbers.
        max_bad_fraction: the largest fraction of unusable images that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set; None for the name of the folder `root`.

    Raises:
        ConfigError: a value is impossible, or no list is given.
        DataError: a list file is missing.
    """

    size = None

    def __init__(
        self,
        *,
        root: str | Path,
        query: str | None = None,
        database: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        label: str | int | None = None,
        path: str | int | None = None,
        delimiter: str | None = None,
        classes: Sequence[str] | None = None,
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str | None = None,
    ) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name or shown_name(Path(root), otherwise="image_list")
        self.max_bad_fraction = max_bad_fraction
        self._files = ImageFiles(Path(root), Limits(max_pixels, max_bytes))
        self._classes = tuple(classes) if classes is not None else None
        self._columns = _Columns(path, label, delimiter)
        lists = {"query": query, "database": database, "train": train, "validation": validation}
        self._lists = {role: Path(root) / file for role, file in lists.items() if file is not None}
        problems = self._columns.problems()
        if not self._lists:
            problems.append("image list: none is given; wanted at least one of query, database, train, validation")
        if problems:
            raise ConfigError(problems)
        missing = [str(path) for path in self._lists.values() if not path.is_file()]
        if missing:
            raise DataError(f"list file not found: looked for {', '.join(missing)}; put the files there")

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) paths relative to the root; bytes that are not UTF-8 are kept as lone surrogates."""
        return self._listing.ids

    @property
    def labels(self) -> NDArray[np.int64] | NDArray[np.bool_]:
        """(N,) int64 class, or (N, C) bool whether a row has a label."""
        return self._listing.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names given to the constructor, else those in the lists, else the numbers of the classes."""
        return self._listing.class_names

    @property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each list, ascending."""
        return self._listing.roles

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row.

        Raises:
            BadImageError: it cannot be read or decoded.
        """
        return self._files.read(str(self.ids[row]))

    def shorter_side(self, row: int) -> int:
        """Pixels of the shorter side of an image, by its header.

        Raises:
            BadImageError: it cannot be read.
        """
        return self._files.shorter_side(str(self.ids[row]))

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file of a row.

        Raises:
            BadImageError: it cannot be read.
        """
        return self._files.content_hash(str(self.ids[row]))

    @cached_property
    def _listing(self) -> "_Listing":
        first: dict[str, Line] = {}
        members: dict[str, set[str]] = {role: set() for role in self._lists}
        for role, file in self._lists.items():
            for line in read_list(file, **self._columns._asdict()):
                path = _inside(line)
                known = first.setdefault(path, line)
                _require_alike(line, next(iter(first.values())))
                if known.cells != line.cells:
                    raise DataError(
                        f"{line.where}: labels {_spell(line)} of {path!r} differ from {_spell(known)} at {known.where}"
                    )
                members[role].add(path)
        if not first:
            raise DataError(f"no lines in {', '.join(map(str, self._lists.values()))}; a line is `path l_1 … l_C`")
        labels, class_names = self._numbered(list(first.values()))
        return _Listing(
            ids=np.array(list(first), dtype=np.str_),
            labels=labels,
            class_names=class_names,
            roles={
                role: np.array([row for row, path in enumerate(first) if path in paths], dtype=np.int64)
                for role, paths in members.items()
            },
        )

    def _numbered(self, lines: list[Line]) -> tuple[NDArray[np.int64] | NDArray[np.bool_], tuple[str, ...]]:
        """Labels of the lines and names of the classes."""
        if len(lines[0].cells) > 1:
            count, names = len(lines[0].cells), lines[0].names
            if self._classes is not None and len(self._classes) != count:
                raise DataError(f"classes: got {len(self._classes)} names, the lists have {count} labels a line")
            labels = np.array([[cell == "1" for cell in line.cells] for line in lines], dtype=np.bool_)
            return labels, self._classes or names or tuple(map(str, range(count)))
        cells = [line.cells[0] for line in lines]
        numbers = all(map(is_class_number, cells))
        where = lines[0].where.rpartition(":")[0]
        if self._classes is None:
            return number_classes(np.array([int(cell) for cell in cells]) if numbers else np.array(cells), where=where)
        known = {str(number) if numbers else name: number for number, name in enumerate(self._classes)}
        spelt = [str(int(cell)) for cell in cells] if numbers else cells
        for line, cell in zip(lines, spelt, strict=True):
            if cell not in known:
                raise DataError(
                    f"{line.where}: the class {cell!r} is none of the {len(known)} of data.classes, "
                    + (f"which are numbered from 0 to {len(known) - 1}" if numbers else "add it there")
                )
        return np.array([known[cell] for cell in spelt], dtype=np.int64), self._classes


class _Columns(NamedTuple):
    path: str | int | None
    label: str | int | None
    delimiter: str | None

    def problems(self) -> list[str]:
        problems = [
            f"{name} must be the name of a column, or its number from 0, got {column!r}"
            for name, column in (("path", self.path), ("label", self.label))
            if isinstance(column, bool) or (isinstance(column, int) and column < 0)
        ]
        if self.delimiter is not None and len(self.delimiter) != 1:
            problems.append(f"delimiter must be one sign, such as ',', got {self.delimiter!r}")
        if self.label is not None and self.label == self.path:
            problems.append(f"label and path are both column {self.label!r}; they must differ")
        return problems


class _Listing(NamedTuple):
    ids: NDArray[np.str_]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    class_names: tuple[str, ...]
    roles: dict[str, NDArray[np.int64]]


def _inside(line: Line) -> str:
    """The path of a line, relative to the root in one spelling."""
    path = posixpath.normpath(line.path)
    if path.startswith(("/", "../")) or path == "..":
        raise DataError(f"{line.where}: the path {line.path!r} must lie below root and be relative to it")
    return path


def _require_alike(line: Line, first: Line) -> None:
    """Raise `DataError` unless a line has labels, in the way of the first one."""
    if not line.cells or "" in line.cells:
        raise DataError(
            f"{line.where}: no labels behind {line.path[:80]!r}; a line is `path class` or `path l_1 … l_C`; where "
            "another sign than white space separates them, write data.delimiter"
        )
    if len(line.cells) != len(first.cells):
        raise DataError(f"{line.where}: {len(line.cells)} labels, but {first.where} has {len(first.cells)}")
    if line.names != first.names:
        raise DataError(f"{line.where}: the header names {_named(line)}, that of {first.where} {_named(first)}")
    if len(line.cells) > 1 and not is_multi_label(line.cells):
        choices = f" or {', '.join(line.names)}" if line.names else ""
        raise DataError(
            f"{line.where}: labels {_spell(line)}; several columns hold a 0 or 1 for each class; say which one is the "
            f"class: data.label=1 … {len(line.cells)}{choices}"
        )


def _named(line: Line) -> str:
    return ", ".join(line.names) or "nothing"


def _spell(line: Line) -> str:
    return "".join(line.cells) if is_multi_label(line.cells) else ", ".join(line.cells)[:80]
