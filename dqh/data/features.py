"""Vectors that some other network has made, in `.npy` files: a data set without images."""

import logging
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.classes import number_classes
from dqh.data.data_file import open_data
from dqh.data.source import Source, check_bad_limit, content_hash, part_ids
from dqh.errors import BadImageError, DataError
from dqh.npy import map_any_npy

logger = logging.getLogger(__name__)

_FLOATS = (2, 4, 8)
"""Bytes of the float numbers that are read."""

_LARGEST_EXACT = 2**53  # up to it float64 holds every whole number


class Features(Source):
    """(N, F) vectors and their labels, memory-mapped, ids `0` … `N - 1`.

    Args:
        features: path of a `.npy` file, (N, F) float16, float32 or float64 in any byte order, read as float32. A row
            with NaN, infinity or what float32 does not hold is a bad one.
        labels: path of a `.npy` file, (N,) or (N, 1) class numbers of at least 0, whose distinct values are the
            classes, or (N, C) of 0 and 1, C at least 2; integers, bool, or floats that are whole. None: there are
            none, and all rows are of one class.
        max_bad_fraction: the largest fraction of unusable vectors that a run accepts, 0 … 1.
        name: what reports call the data set.

    Raises:
        ConfigError: `max_bad_fraction` is impossible.
        DataError: a file is missing, no regular file, or of another shape or type; pickled objects are refused.
    """

    kind = "vector"

    def __init__(
        self, *, features: str | Path, labels: str | Path | None, max_bad_fraction: float = 0.01, name: str = "features"
    ) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name
        self.max_bad_fraction = max_bad_fraction
        self._features, self._labels = Path(features), None if labels is None else Path(labels)
        self.labelled = labels is not None
        shape, kind = self._vectors.shape, self._vectors.dtype
        if len(shape) != 2 or 0 in shape or kind.kind != "f" or kind.itemsize not in _FLOATS:
            raise DataError(
                f"{features} must be (N, F) float16, float32 or float64, got {shape} {kind}; convert it: "
                "numpy.save(FILE, vectors.astype('float32'))"
            )
        if self._labels is not None:
            _open_labels(self._labels, shape[0], of=str(features))
        if kind not in (np.float16, np.float32):
            logger.info("%s is %s and is read as float32", features, kind)
        self.size = self.bulk_size = int(shape[1])

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """(N,) row numbers."""
        return part_ids({"": len(self._vectors)})

    @property
    def labels(self) -> NDArray[np.int64] | NDArray[np.bool_]:
        """(N,) int64 class, or (N, C) bool."""
        return self._classes[0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The distinct class numbers, or `0` … `C - 1` of several labels a row, or of none."""
        return self._classes[1]

    @cached_property
    def _classes(self) -> tuple[NDArray[np.int64] | NDArray[np.bool_], tuple[str, ...]]:
        file = self._labels
        if file is None:
            return np.zeros(len(self._vectors), np.int64), ("0",)
        return read_labels(file, len(self._vectors), of=str(self._features))

    @property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """None: the files hand out no roles."""
        return {}

    def read(self, row: int) -> NDArray[np.float32]:
        """The (F,) vector of a row; `BadImageError` where it holds NaN or infinity."""
        vector = _float32(self._vectors[row])
        if not np.isfinite(vector).all():
            raise BadImageError("the vector holds NaN or infinity")
        return vector

    def read_many(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, F) vectors of `rows`, those with NaN or infinity among them."""
        return _float32(self._vectors[rows])

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the values of a row."""
        return content_hash(self._vectors[row].tobytes())

    @cached_property
    def _vectors(self) -> NDArray[Any]:
        return _open(self._features)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_vectors"}  # a pickled map is a copy


def read_labels(file: Path, count: int, *, of: str) -> tuple[NDArray[np.int64] | NDArray[np.bool_], tuple[str, ...]]:
    """The labels of `count` rows, (N,) int64 classes or (N, C) bool, and the names of the classes, see `Features`.

    Raises:
        DataError: a file is missing, no regular file, or of another shape or type; the text names what has the rows.
    """
    given = _open_labels(file, count, of=of)
    if given.ndim == 2 and given.shape[1] == 1:
        logger.info("%s is (N, 1): its one column is taken as the class numbers", file)
        given = given[:, 0]
    if given.dtype.kind == "f" and not (np.isfinite(given).all() and (given == np.rint(given)).all()):
        raise DataError(f"{file}: labels must be whole numbers, got {given.dtype} with others; give class numbers")
    if given.ndim == 1:
        if given.dtype.kind == "f" and abs(given).max() > _LARGEST_EXACT:
            raise DataError(f"{file}: {given.dtype} labels above {_LARGEST_EXACT} are not exact; save integers")
        if given.dtype.kind in "bf":
            given = given.astype(np.int64)
        return number_classes(given, where=str(file))
    if given.min() < 0 or given.max() > 1:
        raise DataError(
            f"{file}: labels of (N, C) must be 0 or 1, got {given.min()} … {given.max()}; class numbers are (N,)"
        )
    return given.astype(np.bool_), tuple(map(str, range(given.shape[1])))


def _open_labels(file: Path, count: int, *, of: str) -> NDArray[Any]:
    given = _open(file)
    if given.ndim not in (1, 2) or len(given) != count or given.dtype.kind not in "iubf" or 0 in given.shape:
        raise DataError(
            f"{file} must be ({count},) class numbers or ({count}, C) bool, as {of} has rows, "
            f"got {given.shape} {given.dtype}"
        )
    return given


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """A copy; what is beyond float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float32)


def _open(path: Path) -> NDArray[Any]:
    with open_data(path, kind="feature file", advice="make it with numpy.save") as file:
        return _mapped(file, path)


def _mapped(file: BufferedReader, path: Path) -> NDArray[Any]:
    archive = file.peek(4)[:4] == b"PK\x03\x04"
    try:
        return map_any_npy(file, path)
    except (ValueError, OSError) as error:
        but = "but an archive" if archive else f": {error}"
        raise DataError(f"{path} is no .npy file of plain numbers{' ' if archive else ''}{but}") from error
