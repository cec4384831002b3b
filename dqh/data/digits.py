"""The 1,797 handwritten digits that ship with scikit-learn: real images that need no download."""

import gzip
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.data.source import ArraySource

_FILE = Path("datasets", "data", "digits.csv.gz")


class Digits(ArraySource):
    """8 × 8 grey images of the ten digits (Alpaydin and Kaynak 1998, the test part), ids `0` … `1796`."""

    name = "digits"
    size = 16
    bulk_size = 8

    @property
    def class_names(self) -> tuple[str, ...]:
        """`0` … `9`."""
        return tuple("0123456789")

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(1797,) the digit."""
        return self._content[1]

    @property
    def _part_sizes(self) -> dict[str, int]:
        return {"": len(self.labels)}

    def _read_pixels(self) -> NDArray[np.uint8]:
        return np.rint(self._content[0] * (255 / 16)).astype(np.uint8)

    @cached_property
    def _content(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        spec = find_spec("sklearn")  # to import it takes seconds where the machine is busy
        file = None if spec is None or spec.origin is None else Path(spec.origin).parent / _FILE
        if file is not None and file.is_file():
            with gzip.open(file) as stream:
                rows = np.loadtxt(stream, delimiter=",")
            return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
        from sklearn.datasets import load_digits

        content = load_digits()
        return content.images, content.target.astype(np.int64)
