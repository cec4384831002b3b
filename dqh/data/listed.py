"""Data sets whose rows are found by looking: in folders, lists or tables."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.images import ImageFiles, Limits
from dqh.data.source import Source, check_bad_limit, shown_name


class Listing(NamedTuple):
    """What was found; each field is a property of `Source`."""

    ids: NDArray[np.str_]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    class_names: tuple[str, ...]
    roles: dict[str, NDArray[np.int64]]
    unusable: Mapping[str, str]
    unlisted: Mapping[str, str]


class ListedSource(Source):
    """A data set that looks for its rows at first use; `otherwise` is its name where the root gives none."""

    size: int | None = None

    def __init__(self, root: Path, name: str | None, *, otherwise: str, max_bad_fraction: float) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name or shown_name(root, otherwise=otherwise)
        self.max_bad_fraction = max_bad_fraction

    @property
    @abstractmethod
    def _listing(self) -> Listing: ...

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) names; bytes of a path that are not UTF-8 are kept as lone surrogates."""
        return self._listing.ids

    @property
    def labels(self) -> NDArray[np.int64] | NDArray[np.bool_]:
        """(N,) int64 class, or (N, C) bool whether a row has a label."""
        return self._listing.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those given or found, in the order of the labels."""
        return self._listing.class_names

    @property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The rows of the folder, list or files of each role, ascending."""
        return self._listing.roles

    @property
    def unusable(self) -> Mapping[str, str]:
        """`FILE:LINE` or `role/row` of what makes no row, and why."""
        return self._listing.unusable

    @property
    def unlisted(self) -> Mapping[str, str]:
        """Folders that cannot be looked into, and why."""
        return self._listing.unlisted


class FileSource(ListedSource):
    """One whose ids are paths of image files below a root."""

    def __init__(
        self, root: Path, name: str | None, *, otherwise: str, max_bad_fraction: float, limits: Limits
    ) -> None:
        super().__init__(root, name, otherwise=otherwise, max_bad_fraction=max_bad_fraction)
        self._files = ImageFiles(root, limits)

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row; `BadImageError` where it cannot be read or decoded."""
        return self._files.read(str(self.ids[row]))

    def shorter_side(self, row: int) -> int:
        """Pixels of the shorter side of an image, by its header; `BadImageError` where it cannot be read."""
        return self._files.shorter_side(str(self.ids[row]))

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file of a row; `BadImageError` where it cannot be read."""
        return self._files.content_hash(str(self.ids[row]))
