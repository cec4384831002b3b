"""One Parquet file of encoded images as data hubs publish them. Needs pyarrow, imported at use.

A row group that is damaged costs its rows, and no other.
"""

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh import remote
from dqh.data.classes import ADVICE
from dqh.data.data_file import Location, is_remote, open_data
from dqh.data.pixels import check_bytes
from dqh.errors import BadImageError, DataError
from dqh.files import reopening
from dqh.plural import counted

_IMAGE_COLUMNS = ("image", "img")
_LARGEST = 2**63 - 1
_LARGEST_EXACT = 2**53  # of float64
_LABEL_BYTES = 2**15  # as an index takes them


class Labels(NamedTuple):
    """The labels of N rows.

    Attributes:
        values: (N,) int64, or N texts; 0 or "" where there is none.
        empty: (N,) bool, whether a row has none.
        faults: row → why its label cannot be used.
    """

    values: NDArray[np.int64] | list[str]
    empty: NDArray[np.bool_]
    faults: dict[int, str]


class Numbers(NamedTuple):
    """The numbers of N rows: (N,) float64, NaN where there is none, and row → why it cannot be read."""

    values: NDArray[np.float64]
    faults: dict[int, str]


class Group(NamedTuple):
    """The encoded images of some rows, as they are read at a time: an Arrow array of bytes, or None and the fault."""

    rows: range
    images: Any
    fault: str = ""

    def content(self, row: int) -> Any:
        """The Arrow value of a row; `BadImageError` where there is none."""
        if self.images is None:
            raise BadImageError(self.fault)
        value = self.images[row - self.rows.start]
        if not value.is_valid:
            raise BadImageError("the row holds no image bytes")
        return value


class Table:
    """A table, opened in this process.

    Attributes:
        path: of the file, or its URL as text.
        rows: N.
        columns: their names.
        schema: of Arrow.
        starts: first row of each row group, and N.

    Raises:
        DataError: it is not there, is no regular file, or is no Parquet file.
        RemoteError: the URL is not taken, or its file system is not installed here.
    """

    def __init__(self, path: Location) -> None:
        self.path = path
        with open_data(path, kind="Parquet file", advice="put the file there") as file, _reading(path):
            if is_remote(path):
                source: Any = remote.opened(path)  # once more, as it is read for as long as the table is there
            else:
                source = pyarrow("lib").memory_map(os.fsencode(reopening(file, Path(path))))
            self._file = pyarrow("parquet").ParquetFile(source, page_checksum_verification=True)
            self.schema = self._file.schema_arrow
            metadata = self._file.metadata
            counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self.starts = [0, *accumulate(counts)]
        self.rows: int = self.starts[-1]
        self.columns: list[str] = self.schema.names

    def group_of(self, row: int) -> Group:
        """The row group that holds a row; `DataError` where the table has no column of images."""
        number = bisect_right(self.starts, row) - 1
        rows = range(self.starts[number], self.starts[number + 1])
        try:
            with _reading(self.path):
                values = self._file.read_row_group(number, columns=[self._leaf], use_threads=False).column(0)
                if pyarrow("types").is_struct(values.type):
                    values = pyarrow("compute").struct_field(values, "bytes")
        except _UnreadableError as error:
            return Group(rows, None, _damaged(number, rows, error))
        return Group(rows, values)

    def column(self, number: int, name: str) -> Any:
        """A column of a row group as one array of Arrow; `DataError` where it is damaged."""
        with _reading(self.path):
            return self._file.read_row_group(number, columns=[name], use_threads=False)[name].combine_chunks()

    def labels(self, column: str) -> Labels:
        """The labels in a column; `DataError` where there is no such column, or one of another type."""
        if column not in self.columns:
            raise DataError(f"{self.path} has no column {column!r}; it has {', '.join(self.columns)}")
        types = pyarrow("types")
        kind = self.schema.field(column).type
        inner = kind.value_type if types.is_dictionary(kind) else kind
        is_text = self.holds_texts(column)
        if not (is_text or types.is_integer(inner) or types.is_floating(inner) or types.is_boolean(inner)):
            raise DataError(f"{self.path}: {column!r} must hold integers or texts, got {kind}")
        values, faults = self._column(column)
        values = values.cast(inner)
        empty = np.asarray(values.is_null(nan_is_null=True))
        if is_text:
            texts = [text or "" for text in values.to_pylist()]
            return Labels(texts, empty, faults | dict(_text_faults(texts)))
        numbers, wrong = _numbers(pyarrow("compute").fill_null(values, False if types.is_boolean(inner) else 0), empty)
        return Labels(numbers, empty, wrong | faults)

    def holds_texts(self, column: str) -> bool:
        """Whether a column, which is there, holds texts."""
        types = pyarrow("types")
        kind = self.schema.field(column).type
        inner = kind.value_type if types.is_dictionary(kind) else kind
        return bool(types.is_string(inner) or types.is_large_string(inner))

    def numbers(self, column: str) -> "Numbers":
        """The numbers in a column, which is there; `DataError` where it is of another type.

        Moments are numbers too: seconds since 1970, UTC, down to microseconds.
        """
        types, lib = pyarrow("types"), pyarrow("lib")
        kind = self.schema.field(column).type
        is_moment = types.is_timestamp(kind)
        if not (types.is_integer(kind) or types.is_floating(kind) or is_moment):
            raise DataError(f"{self.path}: {column!r} must hold numbers, got {kind}")
        values, faults = self._column(column)
        if is_moment:
            whole = pyarrow("compute").cast(values, lib.timestamp("us", tz=kind.tz), safe=False)
            values = whole.cast(lib.int64())
        numbers = np.asarray(values.cast(lib.float64()).to_numpy(), np.float64)
        return Numbers(numbers / 1e6 if is_moment else numbers, faults)

    def class_names(self, column: str) -> tuple[str, ...]:
        """From the Hugging Face metadata; empty where there is none."""
        try:
            metadata = json.loads((self.schema.metadata or {}).get(b"huggingface", b"{}"))
            names = metadata["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ()
        return tuple(map(str, names)) if isinstance(names, list) else ()

    def _column(self, column: str) -> tuple[Any, dict[int, str]]:
        """All values of a column, null where their row group is damaged, and why those are."""
        try:
            with _reading(self.path):
                return self._file.read(columns=[column], use_threads=False)[column], {}
        except _UnreadableError:
            pass  # a row group at a time tells which
        lib, kind = pyarrow("lib"), self.schema.field(column).type
        parts: list[Any] = []
        faults: dict[int, str] = {}
        for number, (start, end) in enumerate(pairwise(self.starts)):
            try:
                with _reading(self.path):
                    values = self._file.read_row_group(number, columns=[column], use_threads=False)[column]
            except _UnreadableError as error:
                faults |= dict.fromkeys(range(start, end), _damaged(number, range(start, end), error))
                values = lib.chunked_array([lib.nulls(end - start, kind)])
            parts += values.chunks
        return lib.chunked_array(parts, kind), faults

    @cached_property
    def _leaf(self) -> str:
        """The column that holds the bytes, `img` or `img.bytes`."""
        types = pyarrow("types")
        for name in _IMAGE_COLUMNS:
            if name in self.columns:
                kind = self.schema.field(name).type
                if types.is_binary(kind) or types.is_large_binary(kind):
                    return name
                if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
                    return f"{name}.bytes"
        raise DataError(
            f"{self.path} has no column of images: wanted `image` or `img`, binary or a struct with `bytes`, got "
            f"{', '.join(f'{field.name}: {field.type}' for field in self.schema)}"
        )


class Tables:
    """The images of several tables, of which one row group is kept: reading in the order of the rows is fast.

    They can be sent to another process, which opens the tables itself.
    """

    def __init__(self, paths: Sequence[Location]) -> None:
        self._paths = tuple(paths)
        self._kept: tuple[int, Group] | None = None

    def content(self, table: int, row: int, *, max_bytes: int) -> bytes:
        """The encoded image of a row.

        Raises:
            BadImageError: there is none, it is empty or too large, or its row group is damaged.
            DataError: the table cannot be opened, or has no column of images.
            IndexError: it has no such row.
        """
        count = self._tables[table].rows
        if not 0 <= row < count:
            raise IndexError(f"row must be in 0 … {count - 1}, got {row}")
        if self._kept is None or self._kept[0] != table or row not in self._kept[1].rows:
            self._kept = table, self._tables[table].group_of(row)
        value = self._kept[1].content(row)
        check_bytes(value.as_buffer().size, max_bytes=max_bytes)
        content: bytes = value.as_py()
        return content

    def __getitem__(self, number: int) -> Table:
        return self._tables[number]

    def __iter__(self) -> Iterator[Table]:
        return iter(self._tables)

    @cached_property
    def _tables(self) -> list[Table]:
        return [Table(path) for path in self._paths]

    def __getstate__(self) -> dict[str, Any]:
        return {"_paths": self._paths, "_kept": None}


def pyarrow(part: str) -> Any:
    """A module of pyarrow; `DataError` where it is not installed."""
    try:
        return import_module(f"pyarrow.{part}")
    except ImportError as error:
        raise DataError("Parquet files need pyarrow; install it: uv sync --inexact --extra parquet") from error


def unnamed(label: int, names: Sequence[str]) -> str:
    """Why a class number cannot be used where the classes have names; "" where it can."""
    if label < len(names):
        return ""
    return f"the label {label} has no name; the file names {counted(len(names), 'class', 'classes')}"


class _UnreadableError(DataError):
    """A file, or a part of it, is damaged."""


@contextmanager
def _reading(path: Location) -> Iterator[None]:
    try:
        yield
    except (OSError, pyarrow("lib").ArrowException) as error:
        raise _UnreadableError(f"{path} cannot be read: {error}") from error


def _damaged(number: int, rows: range, error: _UnreadableError) -> str:
    return f"row group {number} (rows {rows.start} … {rows[-1]}) cannot be read: {error.__cause__}"


def _numbers(values: Any, empty: NDArray[np.bool_]) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Class numbers of the values of a column, 0 where there is none, and why rows have none that can be used."""
    numbers = np.where(empty, 0, values.to_numpy())
    if numbers.dtype.kind == "f":
        wrong = (numbers != np.rint(numbers)) | (np.abs(numbers) > _LARGEST_EXACT) | (numbers < 0)
    else:
        wrong = (numbers < 0) | (numbers > _LARGEST)
    faults = {
        row: f"the label {numbers[row]}; class numbers are whole, at least 0 and below 2⁶³; {ADVICE}"
        for row in np.flatnonzero(wrong).tolist()
    }
    return np.where(wrong, 0, numbers).astype(np.int64), faults


def _text_faults(texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    for row, text in enumerate(texts):
        if len(text) * 4 > _LABEL_BYTES and (size := len(text.encode("utf-8", "surrogateescape"))) > _LABEL_BYTES:
            yield row, f"a label of {size} bytes, above {_LABEL_BYTES}"
