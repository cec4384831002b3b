"""Files of vectors or of codes, a row a point: `.npy`, `.fvecs`, `.bvecs`, Parquet. All but Parquet are memory-mapped.

What a file holds is told by its numbers. Floats are vectors. Bytes in an `.npy` file, and columns of Parquet of as many
bytes a row, are packed codes; in `.bvecs` they are the values of vectors, 0 to 255. Who knows better says so.

N rows of D dimensions, or of so many bytes.
"""

import os
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from dqh.data.data_file import open_data
from dqh.errors import DataError
from dqh.files import reopening
from dqh.npy import map_any_npy

Kind = Literal["vectors", "codes"]
KINDS: tuple[str, ...] = get_args(Kind)

EXTENSIONS = (".npy", ".fvecs", ".bvecs", ".parquet")

_ADVICE = f"give a file of vectors or codes: {', '.join(EXTENSIONS)}"
_MOST_DIMENSIONS = 2**20


class Rows(Protocol):
    """Rows of a file: (N, D) vectors whose type is a floating one, or (N, bytes) uint8 codes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D), or (N, bytes)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what indexing gives."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Rows by a slice, or by their numbers, ascending; `DataError` where they are damaged."""
        ...


class PointFile(NamedTuple):
    """What a file holds, at least one of both; a table may hold both.

    Attributes:
        vectors: (N, D), or None.
        codes: (N, bytes) uint8, or None.
        table: of Parquet, what else is known of the rows; None of other files.
    """

    vectors: Rows | None
    codes: Rows | None
    table: Any = None

    @property
    def rows(self) -> Rows:
        """The vectors, or the codes where there are none."""
        rows = self.codes if self.vectors is None else self.vectors
        assert rows is not None
        return rows


def open_points(path: Path, *, kind: Kind | None = None, column: str | None = None) -> PointFile:
    """Open a file of vectors or codes, by the end of its name.

    Args:
        path: of the file.
        kind: how bytes are read, `vectors` or `codes`; None: as the file's form has it.
        column: of a table; None for the one that there is.

    Raises:
        DataError: there is no such file, it is damaged, empty or of another form, or not of the kind that is asked for.
    """
    ending = path.suffix.lower()
    if ending not in EXTENSIONS:
        raise DataError(f"{path} has no ending that says what it holds; {_ADVICE}")
    if ending == ".parquet":
        from dqh.data.parquet_points import open_table

        return open_table(path, kind=kind, column=column)
    if column is not None:
        raise DataError(f"a column is of a Parquet file, {path} is none; leave it off")
    with open_data(path, kind="file of points", advice=_ADVICE) as file:
        return _npy(file, path, kind) if ending == ".npy" else _vecs(file, path, kind)


def _npy(file: BufferedReader, path: Path, kind: Kind | None) -> PointFile:
    try:
        array = map_any_npy(file, path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is no .npy file of plain numbers, or an empty one: {error}") from error
    if 0 in array.shape:
        raise DataError(f"{path} holds no rows of numbers, its shape is {array.shape}; give a file with some")
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(
            f"{path} must be (N, D) numbers, got {array.shape} {array.dtype}; save a table of rows, of floats for "
            "vectors or uint8 for codes"
        )
    is_bytes = array.dtype == np.uint8
    if kind == "codes" or (kind is None and is_bytes):
        if not is_bytes:
            raise DataError(f"codes are uint8, {path} holds {array.dtype}; read it as vectors, or pack its bits")
        return PointFile(None, array)
    return PointFile(array if array.dtype.kind == "f" else Values(array), None)


class Values:
    """Whole numbers as vectors of float32."""

    dtype = np.dtype(np.float32)

    def __init__(self, rows: Rows) -> None:
        self._rows, self.shape = rows, rows.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]:
        """(m, D) float32."""
        return np.asarray(self._rows[rows], np.float32)


class _Vecs:
    """Rows of an `.fvecs` or `.bvecs` file: each is its number of values, int32, and the values behind it."""

    def __init__(self, file: BufferedReader, path: Path, kind: np.dtype[Any]) -> None:
        size = os.fstat(file.fileno()).st_size
        dimension = int.from_bytes(file.read(4), "little", signed=True) if size else 0
        width = 4 + dimension * kind.itemsize
        if not 1 <= dimension <= _MOST_DIMENSIONS or size % width:
            raise DataError(
                f"{path} is no {path.suffix} file, or cut off: its first dimension is {dimension}, which does not "
                f"fit its {size:,} bytes"
            )
        self.shape, self.dtype, self._path = (size // width, dimension), kind, path
        self._octets: NDArray[np.uint8] = np.memmap(reopening(file, path), np.uint8, "r", shape=(self.shape[0], width))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """(m, D) of the type; `DataError` where a row has another dimension."""
        octets = np.ascontiguousarray(self._octets[rows])
        dimensions = np.ascontiguousarray(octets[:, :4]).view("<i4")[:, 0]
        if (wrong := dimensions != self.shape[1]).any():
            place = int(np.flatnonzero(wrong)[0])
            number = np.arange(len(self))[rows][place]
            raise DataError(
                f"{self._path} is damaged: row {number} says it has {dimensions[place]} values, row 0 has "
                f"{self.shape[1]}; copy it again"
            )
        return np.ascontiguousarray(octets[:, 4:]).view(self.dtype.newbyteorder("<"))


def _vecs(file: BufferedReader, path: Path, kind: Kind | None) -> PointFile:
    is_float = path.suffix.lower() == ".fvecs"
    if not os.fstat(file.fileno()).st_size:
        raise DataError(f"{path} holds no rows; give a file with some")
    if is_float and kind == "codes":
        raise DataError(f"codes are bytes, {path} holds floats; read it as vectors")
    rows = _Vecs(file, path, np.dtype(np.float32 if is_float else np.uint8))
    if is_float:
        return PointFile(rows, None)
    return PointFile(None, rows) if kind == "codes" else PointFile(Values(rows), None)
