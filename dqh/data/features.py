"""Vectors that some other network has made, in `.npy` files: a data set without images."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.source import Source, check_bad_limit, content_hash, part_ids
from dqh.errors import BadImageError, DataError

MOST_CLASSES = 1_000_000


class Features(Source):
    """(N, F) vectors and their labels, memory-mapped, ids `0` … `N - 1`.

    Args:
        features: path of a `.npy` file, (N, F) float16 or float32. A row with NaN or infinity is a bad one.
        labels: path of a `.npy` file, (N,) integers from 0, or (N, C) bool or 0 and 1.
        max_bad_fraction: the largest fraction of unusable vectors that a run accepts, 0 … 1.
        name: what reports call the data set.

    Raises:
        ConfigError: `max_bad_fraction` is impossible.
        DataError: a file is missing or of another shape or type; pickled objects are refused.
    """

    kind = "vector"

    def __init__(
        self, *, features: str | Path, labels: str | Path, max_bad_fraction: float = 0.01, name: str = "features"
    ) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name
        self.max_bad_fraction = max_bad_fraction
        self._paths = Path(features), Path(labels)
        shape = self._vectors.shape
        if len(shape) != 2 or 0 in shape or self._vectors.dtype not in (np.float16, np.float32):
            raise DataError(f"{features} must be (N, F) float16 or float32, got {shape} {self._vectors.dtype}")
        given = _open(Path(labels))
        if given.ndim not in (1, 2) or len(given) != len(self._vectors) or given.dtype.kind not in "iub":
            raise DataError(
                f"{labels} must be ({shape[0]},) integers or ({shape[0]}, C) bool, as {features} has {shape[0]} rows, "
                f"got {given.shape} {given.dtype}"
            )
        self.size = self.bulk_size = int(shape[1])

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """(N,) row numbers."""
        return part_ids({"": len(self._vectors)})

    @cached_property
    def labels(self) -> NDArray[np.int64] | NDArray[np.bool_]:
        """(N,) int64 class, or (N, C) bool."""
        given = _open(self._paths[1])
        if given.min() < 0 or (given.ndim == 2 and given.max() > 1):
            raise DataError(
                f"{self._paths[1]}: labels must be at least 0, and 0 or 1 where (N, C), got {given.min()} … "
                f"{given.max()}"
            )
        if given.ndim == 1 and given.max() >= MOST_CLASSES:
            raise DataError(
                f"{self._paths[1]}: labels must be below {MOST_CLASSES:,}, got {given.max()}; number them anew"
            )
        return given.astype(np.int64) if given.ndim == 1 else given.astype(np.bool_)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """`0` … `C - 1`."""
        count = int(self.labels.max()) + 1 if self.labels.ndim == 1 else self.labels.shape[1]
        return tuple(map(str, range(count)))

    @property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """None: the files hand out no roles."""
        return {}

    def read(self, row: int) -> NDArray[np.float32]:
        """The (F,) vector of a row.

        Raises:
            BadImageError: it holds NaN or infinity.
        """
        vector = np.array(self._vectors[row], dtype=np.float32)
        if not np.isfinite(vector).all():
            raise BadImageError("the vector holds NaN or infinity")
        return vector

    def read_many(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, F) vectors of `rows`, those with NaN or infinity among them."""
        return np.array(self._vectors[rows], dtype=np.float32)

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the values of a row."""
        return content_hash(self._vectors[row].tobytes())

    @cached_property
    def _vectors(self) -> NDArray[Any]:
        return _open(self._paths[0])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_vectors"}  # a pickled map is a copy


def _open(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise DataError(f"feature file not found: looked for {path}; make it with numpy.save")
    try:
        content = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} is no .npy file of plain numbers: {error}") from error
    if not isinstance(content, np.ndarray):
        raise DataError(f"{path} is no .npy file of plain numbers but an archive")
    return content
