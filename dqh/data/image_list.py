"""Images named by list files: several labels a line, as in the field's `path l_1 … l_C`, or one class."""

import posixpath
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.caps import MAX_PIXELS
from dqh.data.classes import ADVICE, number_classes
from dqh.data.data_file import require_files
from dqh.data.images import Limits
from dqh.data.list_file import CLASS_DIGITS, Line, alike, is_class_number, is_multi_label, read_list
from dqh.data.listed import FileSource, Listing
from dqh.data.pixels import MAX_BYTES
from dqh.data.skipped import check_unusable
from dqh.errors import ConfigError, DataError


class ImageList(FileSource):
    """Images in list files of which each gives one role; how these may be written, `read_list` says.

    One column of labels is the class: its numbers if all are whole numbers, else its names. Several columns are a 0 or
    1 for each class. A path in several lists is one row with several roles; named again in one list, it counts once and
    a warning says so. Ids are the paths, in the order in which they first appear. Blank lines mean nothing. A line that
    cannot be used (see `read_list`; no label, or labels unlike those of most lines or of the same path above; a path
    outside `root`; a class that is negative, of more than 18 digits among numbers, or not in `classes`) is unusable
    like an image that cannot be read: more than `max_bad_fraction` of them stop the run.

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
        DataError: a list file is missing, no regular file, or cannot be read.
    """

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
        limits = Limits(max_pixels, max_bytes)
        super().__init__(Path(root), name, otherwise="image_list", max_bad_fraction=max_bad_fraction, limits=limits)
        self._classes = tuple(classes) if classes is not None else None
        self._columns = _Columns(path, label, delimiter)
        lists = {"query": query, "database": database, "train": train, "validation": validation}
        self._lists = {role: Path(root) / file for role, file in lists.items() if file is not None}
        problems = self._columns.problems()
        if not self._lists:
            problems.append("image list: none is given; wanted at least one of query, database, train, validation")
        if problems:
            raise ConfigError(problems)
        require_files(self._lists.values(), kind="list file", advice="put the files there")

    @cached_property
    def _listing(self) -> Listing:
        lines, roles = self._lines()
        if not lines:
            raise DataError(f"no lines in {', '.join(map(str, self._lists.values()))}; a line is `path l_1 … l_C`")
        first: dict[str, Line] = {}
        members: dict[str, set[str]] = {role: set() for role in self._lists}
        unusable: dict[str, str] = {}
        for line, role in zip(self._labelled(lines), roles, strict=True):
            if not line.fault:
                path = posixpath.normpath(line.path)
                line = line._replace(fault=_misplaced(path, line, first.setdefault(path, line)))
            if line.fault:
                unusable[line.where] = line.fault
            else:
                members[role].add(path)
        check_unusable(unusable, total=len(lines), source=self, noun="line")
        first = {path: line for path, line in first.items() if any(path in paths for paths in members.values())}
        labels, class_names = self._numbered(list(first.values()))
        return Listing(
            ids=np.array(list(first), dtype=np.str_),
            labels=labels,
            class_names=class_names,
            roles={
                role: np.array([row for row, path in enumerate(first) if path in paths], dtype=np.int64)
                for role, paths in members.items()
            },
            unusable=unusable,
            unlisted={},
        )

    def _lines(self) -> tuple[list[Line], list[str]]:
        """All lines, and the role of each."""
        lines: list[Line] = []
        roles: list[str] = []
        for role, file in self._lists.items():
            before = len(lines)
            lines += read_list(file, **self._columns._asdict())
            roles += [role] * (len(lines) - before)
        usable = [line for line in lines if not line.fault]
        other = next((line for line in usable if line.names != usable[0].names), None)
        if other is not None:
            raise DataError(
                f"{other.where}: the header names {_named(other)}, that of {usable[0].where} {_named(usable[0])}"
            )
        return lines, roles

    def _labelled(self, lines: Sequence[Line]) -> list[Line]:
        """The lines, with a fault where labels are unlike those of most, or the class is none."""
        lines = alike(lines)
        cells = {line.cells[0] for line in lines if not line.fault and len(line.cells) == 1}
        numbers = bool(cells) and all(is_class_number(cell) or (cell.isascii() and cell.isdecimal()) for cell in cells)
        faults = {cell: self._fault_of(cell, numbers=numbers) for cell in cells}
        return [
            line if line.fault or len(line.cells) > 1 else line._replace(fault=faults[line.cells[0]]) for line in lines
        ]

    def _fault_of(self, cell: str, *, numbers: bool) -> str:
        """Why what stands for a class is none; "" where it is one."""
        if numbers and not is_class_number(cell):
            return f"a class number of {len(cell)} digits, above {CLASS_DIGITS}"
        if numbers and int(cell) < 0:
            return f"the class {cell}; class numbers must be at least 0; {ADVICE}"
        if self._classes is None:
            return ""
        known = range(len(self._classes)) if numbers else self._classes
        if (int(cell) if numbers else cell) in known:
            return ""
        advice = f"which are numbered from 0 to {len(known) - 1}" if numbers else "add it there"
        return f"the class {cell[:80]!r} is none of the {len(known)} of data.classes, {advice}"

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
            return number_classes(np.array([int(cell) for cell in cells]) if numbers else cells, where=where)
        if numbers:
            return np.array([int(cell) for cell in cells], dtype=np.int64), self._classes
        known = {name: number for number, name in enumerate(self._classes)}
        return np.array([known[cell] for cell in cells], dtype=np.int64), self._classes


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


def _misplaced(path: str, line: Line, known: Line) -> str:
    """Why a line cannot be used whose labels can, given the first one of its path; "" where it can."""
    if path.startswith(("/", "../")) or path == "..":
        return f"the path {line.path!r} must lie below root and be relative to it"
    if known.cells != line.cells:
        return f"labels {_spell(line)} of {path!r} differ from {_spell(known)} at {known.where}"
    return ""


def _named(line: Line) -> str:
    return ", ".join(line.names) or "nothing"


def _spell(line: Line) -> str:
    return "".join(line.cells) if is_multi_label(line.cells) else ", ".join(line.cells)[:80]
