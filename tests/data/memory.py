"""A source in memory for the tests of what works on sources."""

import os
import signal

import numpy as np
from PIL import Image

from dqh.data.source import Source, content_hash
from dqh.errors import BadImageError


class Memory(Source):
    """Rows of one colour each: row r is (value, 0, 0) in every pixel; rows in `bad` cannot be read."""

    name = "memory"
    size = None

    def __init__(
        self, labels, *, roles=None, values=None, bad=(), dies_at=None, max_bad_fraction=0.0, classes=None, side=(3, 2)
    ):
        self._labels = np.asarray(labels)
        self._roles = {role: np.asarray(rows, dtype=np.int64) for role, rows in (roles or {}).items()}
        self._values = np.arange(len(self._labels)) % 256 if values is None else np.asarray(values)
        self._bad = set(bad)
        self._dies_at = dies_at
        self._side = side
        self.max_bad_fraction = max_bad_fraction
        self._classes = classes

    @property
    def ids(self):
        return np.array([f"row/{row}" for row in range(len(self._labels))], dtype=np.str_)

    @property
    def labels(self):
        return self._labels

    @property
    def class_names(self):
        count = self._labels.shape[1] if self._labels.ndim == 2 else int(self._labels.max()) + 1
        return tuple(map(str, range(self._classes or count)))

    @property
    def roles(self):
        return self._roles

    def read(self, row):
        if row == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if row in self._bad:
            raise BadImageError(f"row {row} is bad")
        return Image.new("RGB", self._side, (int(self._values[row]), 0, 0))

    def content_hash(self, row):
        if row in self._bad:
            raise BadImageError(f"row {row} is bad")
        return content_hash(bytes(self._values[row : row + 1]))
