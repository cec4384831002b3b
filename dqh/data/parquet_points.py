"""Vectors and codes in columns of a Parquet file, read a row group at a time, and what else it tells of its rows.

Vectors are lists of floats, of one length; codes are so many bytes a row, or lists of uint8. `dqh export --to parquet`
writes such tables. Needs pyarrow, imported at use.

N rows of D dimensions, or of so many bytes.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.parquet_table import Table, pyarrow
from dqh.data.point_files import Kind, PointFile
from dqh.errors import DataError

_NAMES = {
    "vectors": ("features", "embedding", "embeddings", "vector", "vectors"),
    "codes": ("code", "codes"),
}
"""What columns are called of which there are several; the first that is there is taken."""


def open_table(path: Path, *, kind: Kind | None, column: str | None) -> PointFile:
    """The vectors and the codes of a table; errors as of `dqh.data.point_files.open_points`."""
    table = Table(path)
    if not table.rows:
        raise DataError(f"{path} holds no rows; give a table with some")
    kinds = {field.name: held for field in table.schema if (held := _held(field.type)) is not None}
    if column is not None and column not in kinds:
        raise DataError(f"{path} has no column {column!r} of vectors or codes; {_columns(table)}")
    chosen = {
        wanted: _chosen(table, [name for name, held in kinds.items() if held == wanted], wanted, column)
        for wanted in _NAMES
    }
    columns = {wanted: None if name is None else ColumnRows(table, name, wanted) for wanted, name in chosen.items()}
    if (kind is not None and columns[kind] is None) or not any(columns.values()):
        raise DataError(f"{path} has no column of {kind or 'vectors or codes'}; {_columns(table)}")
    return PointFile(columns["vectors"], columns["codes"], table)


def _held(kind: Any) -> str | None:
    """Whether a column of a type holds vectors or codes."""
    types = pyarrow("types")
    if types.is_fixed_size_binary(kind):
        return "codes"
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return None
    if types.is_floating(kind.value_type):
        return "vectors"
    return "codes" if types.is_uint8(kind.value_type) else None


def _chosen(table: Table, names: list[str], wanted: str, column: str | None) -> str | None:
    if column is not None:
        return column if column in names else None
    usual = [name for name in _NAMES[wanted] if name in names]
    if len(names) > 1 and not usual:
        raise DataError(f"{table.path} has several columns of {wanted}: {', '.join(names)}; name one")
    return next(iter([*usual, *names]), None)


def _columns(table: Table) -> str:
    return f"it has {', '.join(f'{field.name}: {field.type}' for field in table.schema)}"


class ColumnRows:
    """A column of vectors as (N, D) float32, or of codes as (N, bytes) uint8; of it one row group is held.

    A vector that is missing, or has another length than most, is NaN.

    Args:
        table: that it is of.
        name: of the column.
        kind: `vectors` or `codes`.

    Attributes:
        shape: of all rows.
        dtype: float32 or uint8.

    Raises:
        DataError: the first row group cannot be read, or has no vectors or codes.
    """

    def __init__(self, table: Table, name: str, kind: str) -> None:
        self._table, self._name = table, name
        self.dtype: np.dtype[Any] = np.dtype(np.float32 if kind == "vectors" else np.uint8)
        self._kept: tuple[int, NDArray[Any]] | None = None
        self.shape = (table.rows, self._width)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def held_bytes(self) -> int:
        """Of the largest row group, as it is read."""
        longest = max(stop - start for start, stop in zip(self._table.starts, self._table.starts[1:], strict=False))
        return int(longest * self.shape[1] * self.dtype.itemsize)

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """(m, D) or (m, bytes) of rows by a slice, or by their numbers."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        groups = np.searchsorted(np.asarray(self._table.starts), rows, side="right") - 1
        for group in np.unique(groups):
            places = np.flatnonzero(groups == group)
            out[places] = self._group(int(group))[rows[places] - self._table.starts[group]]
        return out

    @cached_property
    def _width(self) -> int:
        """Numbers, or bytes, a row."""
        kind = self._table.schema.field(self._name).type
        types = pyarrow("types")
        if types.is_fixed_size_binary(kind):
            return int(kind.byte_width)
        if types.is_fixed_size_list(kind):
            return int(kind.list_size)
        lengths = pyarrow("compute").list_value_length(self._table.column(0, self._name)).drop_null().to_numpy()
        if not len(lengths) or not lengths.max():
            raise DataError(f"{self._table.path}: {self._name!r} is empty in its first row group")
        return int(np.bincount(lengths).argmax())

    def _group(self, number: int) -> NDArray[Any]:
        if self._kept is None or self._kept[0] != number:
            self._kept = None
            self._kept = number, self._read(number)
        return self._kept[1]

    def _read(self, number: int) -> NDArray[Any]:
        values, width = self._table.column(number, self._name), self.shape[1]
        types, compute = pyarrow("types"), pyarrow("compute")
        if types.is_fixed_size_binary(values.type):
            good = np.asarray(values.is_valid())
            content = b"".join(values.drop_null().to_pylist()) if not good.all() else _content(values, width)
            flat = np.frombuffer(content, np.uint8)
        else:
            fits = compute.fill_null(compute.equal(compute.list_value_length(values), width), False)
            good = np.asarray(fits)
            flat = values.filter(fits).flatten().to_numpy(zero_copy_only=False)
        if good.all():
            with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, which no vector may be
                return np.asarray(flat.reshape(-1, width), self.dtype)
        if self.dtype == np.uint8:
            row = self._table.starts[number] + int(np.flatnonzero(~good)[0])
            raise DataError(f"{self._table.path}: row {row} has no code of {width} bytes; leave such rows out")
        out = np.full((len(good), width), np.nan, np.float32)
        with np.errstate(over="ignore"):
            out[good] = flat.reshape(-1, width)
        return out


def _content(values: Any, width: int) -> bytes:
    """The bytes of an array of so many bytes a row, none of them missing."""
    start = values.offset * width
    content: bytes = values.buffers()[1].slice(start, len(values) * width).to_pybytes()
    return content
