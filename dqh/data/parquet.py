"""Tables of encoded images in Parquet files, as data hubs publish them. Needs pyarrow, imported at use."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.caps import MAX_PIXELS
from dqh.data.classes import ADVICE, number_classes
from dqh.data.images import MAX_BYTES, Limits, check_bytes, decode
from dqh.data.source import Source, check_bad_limit, content_hash, part_ids, part_roles, shown_name
from dqh.errors import BadImageError, ConfigError, DataError

_IMAGE_COLUMNS = ("image", "img")
_LARGEST = 2**63 - 1


class Parquet(Source):
    """Encoded images with one label each: column `image` or `img`, a binary or a struct {bytes, path}.

    The label is an integer or a text. Where the schema's Hugging Face metadata names the classes, integers count these
    names from 0; else the distinct values are the classes, in order, named by themselves.

    Ids are `role/row`, the rows of a role's files counted through. Row groups are read when one of their rows is,
    and one is kept, so that reading in the order of the rows is fast and memory is bounded.

    Args:
        root: the folder that all paths are relative to.
        query: the file of the queries; a pattern such as `test-*.parquet` stands for all files that match, sorted.
        database: the file of the database.
        train: the file of the images to train on.
        validation: the file of the images that choose the epoch.
        test: the file of the official test part.
        label: the column of the labels, integers of at least 0 or texts.
        max_bad_fraction: the largest fraction of unusable images that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an encoded image, bytes.
        name: what reports call the data set; None for the name of the folder `root`.
        size: side in pixels that suits the images; None where sizes vary.

    Raises:
        ConfigError: a value is impossible, or no file is given.
        DataError: a file is missing.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        query: str | None = None,
        database: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        label: str = "label",
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str | None = None,
        size: int | None = None,
    ) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name or shown_name(Path(root), otherwise="parquet")
        self.max_bad_fraction = max_bad_fraction
        self.size = size
        self._limits = Limits(max_pixels, max_bytes)
        self._label = label
        parts = {"train": train, "database": database, "validation": validation, "query": query, "test": test}
        self._paths = {role: _find(Path(root), file) for role, file in parts.items() if file is not None}
        if not self._paths:
            raise ConfigError("parquet: no file is given; wanted at least one of query, database, train, test")

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """(N,) `role/row`."""
        return part_ids(self._part_sizes)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) the class."""
        return self._classes[0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """From the metadata, else the distinct values of the labels."""
        return self._classes[1]

    @cached_property
    def _classes(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        parts = [table.labels(self._label) for table in self._tables]
        if len({part.dtype.kind == "U" for part in parts}) > 1:
            raise DataError(f"{self._label!r} holds integers in some files of {self.name} and texts in others")
        values = np.concatenate(parts)
        named = {names for table in self._tables if (names := table.class_names(self._label))}
        if len(named) > 1:
            raise DataError(f"the files of {self.name} name their classes differently: {sorted(named)}")
        if not named or values.dtype.kind == "U":
            return number_classes(values, where=self.name)
        names = named.pop()
        if values.max() >= len(names):
            raise DataError(f"{self.name}: the label {values.max()} has no name; the files name {len(names)} classes")
        return values.astype(np.int64), names

    @cached_property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each role's files."""
        return part_roles(self._part_sizes)

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row.

        Raises:
            BadImageError: there is none, or it cannot be decoded.
        """
        return decode(self._content(row), max_pixels=self._limits.max_pixels)

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the encoded image of a row.

        Raises:
            BadImageError: there is none.
        """
        return content_hash(self._content(row))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_tables", "_group")}

    @cached_property
    def _tables(self) -> list["_Table"]:
        """Every file, in the order of the rows."""
        tables = [_Table(path, role) for role, paths in self._paths.items() for path in paths]
        if not any(table.rows for table in tables):
            raise DataError(f"no rows in {', '.join(str(table.path) for table in tables)}")
        return tables

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(table.rows for table in self._tables[:-1])]

    @cached_property
    def _part_sizes(self) -> dict[str, int]:
        return {role: sum(table.rows for table in self._tables if table.role == role) for role in self._paths}

    @cached_property
    def _group(self) -> "_Group":
        return _Group(None, 0, 0, [])

    def _content(self, row: int) -> bytes:
        if not 0 <= row < len(self):
            raise IndexError(f"row must be in 0 … {len(self) - 1}, got {row}")
        number = bisect_right(self._starts, row) - 1
        table, row = self._tables[number], row - self._starts[number]
        if self._group.path != table.path or not self._group.start <= row < self._group.end:
            self._group = table.group_of(row)
        value = self._group.images[row - self._group.start]
        if not value.is_valid:
            raise BadImageError("the row holds no image bytes")
        check_bytes(value.as_buffer().size, max_bytes=self._limits.max_bytes)
        content: bytes = value.as_py()
        return content


class _Group(NamedTuple):
    """The encoded images of the rows `start` … `end` - 1 of a file, as an Arrow array."""

    path: Path | None
    start: int
    end: int
    images: Any


class _Table:
    """One file, opened in this process, and where its row groups begin."""

    def __init__(self, path: Path, role: str) -> None:
        self.path = path
        self.role = role
        with _reading(path):
            self._file = _pyarrow("parquet").ParquetFile(path, memory_map=True)
        self._schema = self._file.schema_arrow
        metadata = self._file.metadata
        self.rows: int = metadata.num_rows
        self._starts = [
            0,
            *accumulate(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)),
        ]

    def labels(self, column: str) -> NDArray[np.int64] | NDArray[np.str_]:
        if column not in self._schema.names:
            raise DataError(f"{self.path} has no column {column!r}; it has {', '.join(self._schema.names)}")
        with _reading(self.path):
            values = self._file.read(columns=[column], use_threads=False)[column]
        types = _pyarrow("types")
        if types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        is_text = types.is_string(values.type) or types.is_large_string(values.type)
        if not (types.is_integer(values.type) or is_text) or values.null_count:
            raise DataError(
                f"{self.path}: {column!r} must hold integers or texts without nulls, got {values.type} with "
                f"{values.null_count} nulls"
            )
        if is_text:
            return np.array(values.to_pylist(), dtype=np.str_)
        labels = values.to_numpy()
        if len(labels) and (labels.min() < 0 or labels.max() > _LARGEST):
            raise DataError(
                f"{self.path}: labels must be at least 0 and below 2⁶³, got {labels.min()} … {labels.max()}; {ADVICE}"
            )
        return np.asarray(labels, dtype=np.int64)

    def class_names(self, column: str) -> tuple[str, ...]:
        """From the Hugging Face metadata; empty where there is none."""
        try:
            metadata = json.loads((self._schema.metadata or {}).get(b"huggingface", b"{}"))
            names = metadata["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ()
        return tuple(map(str, names)) if isinstance(names, list) else ()

    def group_of(self, row: int) -> _Group:
        number = bisect_right(self._starts, row) - 1
        with _reading(self.path):
            values = self._file.read_row_group(number, columns=[self._leaf], use_threads=False).column(0)
        if _pyarrow("types").is_struct(values.type):
            values = _pyarrow("compute").struct_field(values, "bytes")
        return _Group(self.path, self._starts[number], self._starts[number + 1], values)

    @cached_property
    def _leaf(self) -> str:
        """The column that holds the bytes, `img` or `img.bytes`."""
        types = _pyarrow("types")
        for name in _IMAGE_COLUMNS:
            if name in self._schema.names:
                kind = self._schema.field(name).type
                if types.is_binary(kind) or types.is_large_binary(kind):
                    return name
                if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
                    return f"{name}.bytes"
        raise DataError(
            f"{self.path} has no column of images: wanted `image` or `img`, binary or a struct with `bytes`, got "
            f"{', '.join(f'{field.name}: {field.type}' for field in self._schema)}"
        )


def _find(root: Path, pattern: str) -> list[Path]:
    paths = sorted(root.glob(pattern)) if any(sign in pattern for sign in "*?[") else [root / pattern]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise DataError(f"Parquet file not found: looked for {root / pattern}; put the file there")
    return paths


def _pyarrow(part: str) -> Any:
    try:
        return import_module(f"pyarrow.{part}")
    except ImportError as error:
        raise DataError("Parquet files need pyarrow; install it: uv sync --inexact --extra parquet") from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, _pyarrow("lib").ArrowException) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
