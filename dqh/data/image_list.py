"""Images named by the field's multi-label list files: a line is `path l_1 … l_C` with labels 0 and 1."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.caps import MAX_PIXELS
from dqh.data.images import MAX_BYTES, ImageFiles, Limits
from dqh.data.source import Source, check_bad_limit
from dqh.errors import ConfigError, DataError

_LINE = re.compile(r"(?P<path>\S.*?)(?P<labels>(?:\s+[01])+)")


class ImageList(Source):
    """Images with several labels each, in list files of which each gives one role.

    A path may contain spaces: the labels are the 0s and 1s at the end of the line. A path in several lists is one
    row with several roles. Ids are the paths, in the order in which they first appear. Blank lines mean nothing.

    Args:
        root: the folder that all paths are relative to.
        query: the list file of the queries, relative to `root`.
        database: the list file of the database.
        train: the list file of the images to train on.
        validation: the list file of the images that choose the epoch.
        classes: the names of the C classes; None: their numbers, from 0.
        max_bad_fraction: the largest fraction of unusable images that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set.

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
        classes: Sequence[str] | None = None,
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str = "image_list",
    ) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name
        self.max_bad_fraction = max_bad_fraction
        self._files = ImageFiles(Path(root), Limits(max_pixels, max_bytes))
        self._classes = tuple(classes) if classes is not None else None
        lists = {"query": query, "database": database, "train": train, "validation": validation}
        self._lists = {role: Path(root) / file for role, file in lists.items() if file is not None}
        if not self._lists:
            raise ConfigError("image list: none is given; wanted at least one of query, database, train, validation")
        missing = [str(path) for path in self._lists.values() if not path.is_file()]
        if missing:
            raise DataError(f"list file not found: looked for {', '.join(missing)}; put the files there")

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) paths relative to the root; bytes that are not UTF-8 are kept as lone surrogates."""
        return self._listing.ids

    @property
    def labels(self) -> NDArray[np.bool_]:
        """(N, C) whether a row has a label."""
        return self._listing.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names given to the constructor, else `0` … `C - 1`."""
        count = self.labels.shape[1]
        if self._classes is None:
            return tuple(map(str, range(count)))
        if len(self._classes) != count:
            raise DataError(f"classes: got {len(self._classes)} names, the lists have {count} labels a line")
        return self._classes

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
        first: dict[str, _Line] = {}
        members: dict[str, set[str]] = {role: set() for role in self._lists}
        width: _Line | None = None
        for role, file in self._lists.items():
            for line in _lines(file):
                width = width or line
                if len(line.labels) != len(width.labels):
                    raise DataError(
                        f"{line.where}: {len(line.labels)} labels, but {width.where} has {len(width.labels)}"
                    )
                known = first.setdefault(line.path, line)
                if known.labels != line.labels:
                    raise DataError(
                        f"{line.where}: labels {_spell(line.labels)} of {line.path!r} differ from "
                        f"{_spell(known.labels)} at {known.where}"
                    )
                members[role].add(line.path)
        if not first:
            raise DataError(f"no lines in {', '.join(map(str, self._lists.values()))}; a line is `path l_1 … l_C`")
        return _Listing(
            ids=np.array(list(first), dtype=np.str_),
            labels=np.array([line.labels for line in first.values()], dtype=np.bool_),
            roles={
                role: np.array([row for row, path in enumerate(first) if path in paths], dtype=np.int64)
                for role, paths in members.items()
            },
        )


class _Line(NamedTuple):
    path: str
    labels: tuple[bool, ...]
    where: str


class _Listing(NamedTuple):
    ids: NDArray[np.str_]
    labels: NDArray[np.bool_]
    roles: dict[str, NDArray[np.int64]]


def _lines(file: Path) -> Iterator[_Line]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        for number, text in enumerate(stream, start=1):
            where = f"{file}:{number}"
            if not text.strip():
                continue
            match = _LINE.fullmatch(text.strip())
            if match is None:
                raise DataError(f"{where}: no labels at the end of {text.strip()[:80]!r}; a line is `path l_1 … l_C`")
            path = posixpath.normpath(match["path"])
            if path.startswith(("/", "../")) or path == "..":
                raise DataError(f"{where}: the path {match['path']!r} must lie below root and be relative to it")
            yield _Line(path, tuple(label == "1" for label in match["labels"].split()), where)


def _spell(labels: tuple[bool, ...]) -> str:
    return "".join("01"[label] for label in labels)
