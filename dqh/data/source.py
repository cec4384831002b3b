"""What a data set is to everything else here: ids, labels, and pixels or vectors read a row at a time."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.errors import ConfigError

ROLES = ("query", "database", "train", "validation", "test")


class Source(ABC):
    """A data set: N rows, each with an id, a label and an image or a vector.

    Constructors take keywords only and are cheap: they check their values and that the files are there. Ids and
    labels are read on first use, pixels by `read`. A source can be sent to another process.

    Attributes:
        name: what reports and file names call the data set.
        size: side in pixels that suits its images, None where only a look at them tells; the length of its vectors.
        kind: what `read` returns, `image` or `vector`.
        max_bad_fraction: the largest fraction of unusable rows, 0 … 1, that a run accepts.
        bulk_size: side of the images (or length of the vectors) that `read_many` returns, None where it cannot.
        labelled: whether the labels say anything; where they do not, all rows have the same.
    """

    name: str
    size: int | None
    kind: Literal["image", "vector"] = "image"
    max_bad_fraction: float = 0.0
    bulk_size: int | None = None
    labelled: bool = True

    @property
    @abstractmethod
    def ids(self) -> NDArray[np.str_]:
        """(N,) unique names of the rows, the same on every machine: `train/17`, or a relative path."""

    @property
    @abstractmethod
    def labels(self) -> NDArray[np.int64] | NDArray[np.bool_]:
        """(N,) int64 class of each row, or (N, C) bool where a row may have several."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """The C names of the classes, in the order of the labels."""

    @property
    @abstractmethod
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each role that the data set itself hands out, by names of `ROLES`; empty if none."""

    @abstractmethod
    def read(self, row: int) -> Image.Image | NDArray[np.float32]:
        """The RGB image, or the (F,) vector, of a row.

        Raises:
            BadImageError: it cannot be used; the text is the reason.
        """

    @property
    def unusable(self) -> Mapping[str, str]:
        """What names an image and makes no row, as a list line without a label, and why; counted as unusable images."""
        return {}

    @property
    def unlisted(self) -> Mapping[str, str]:
        """Folders that cannot be looked into, and why. How many images they hold nobody knows: none is counted."""
        return {}

    @property
    def unusable_parts(self) -> Mapping[str, str]:
        """Parts of rows that are left out, as a box without an area, and why; their rows stay, and none is counted."""
        return {}

    def shorter_side(self, row: int) -> int:
        """Pixels of the shorter side of an image; `BadImageError` where it cannot be read."""
        image = self.read(row)
        if isinstance(image, np.ndarray):
            raise TypeError(f"{self.name} holds vectors, which have no sides")
        return min(image.size)

    @abstractmethod
    def content_hash(self, row: int) -> bytes:
        """16 bytes that are equal for two rows with the same file bytes (or pixels, where there are no files).

        Raises:
            BadImageError: there is nothing to read.
        """

    def read_many(self, rows: NDArray[np.int64]) -> NDArray[np.uint8] | NDArray[np.float32]:
        """The images of `rows` as (n, 3, S, S) uint8, or their vectors as (n, F) float32, S and F being `bulk_size`.

        Raises:
            NotImplementedError: `bulk_size` is None.
        """
        raise NotImplementedError(f"{type(self).__name__} reads one row at a time; use read(row)")

    def __len__(self) -> int:
        return len(self.ids)


class ArraySource(Source):
    """A data set that fits in memory as one array of square images, read when the first image is.

    Subclasses give `labels`, `class_names`, `_part_sizes` and `_read_pixels`.
    """

    @abstractmethod
    def _read_pixels(self) -> NDArray[np.uint8]:
        """(N, S, S) or (N, S, S, 3), the parts one after another."""

    @property
    @abstractmethod
    def _part_sizes(self) -> dict[str, int]:
        """The number of rows of each official part, in order; the key "" where there are no parts."""

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, S, S) grey or (N, S, S, 3) RGB, 0 … 255."""
        return self._read_pixels()

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """(N,) `part/row`, or `row` where there are no parts."""
        return part_ids(self._part_sizes)

    @cached_property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The rows of the official parts."""
        return part_roles(self._part_sizes)

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row, in its own size."""
        return Image.fromarray(self.pixels[row]).convert("RGB")

    def read_many(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, 3, S, S) uint8 images of `rows`."""
        pixels = self.pixels[rows]
        if pixels.ndim == 3:
            return np.repeat(pixels[:, None], 3, axis=1)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the pixels of a row."""
        return content_hash(self.pixels[row].tobytes())


def part_ids(sizes: Mapping[str, int]) -> NDArray[np.str_]:
    """(N,) ids `part/row` of parts that follow one another, `row` for a part without a name.

    Example:
        >>> part_ids({"train": 2, "test": 1}).tolist()
        ['train/0', 'train/1', 'test/0']
    """
    return np.array([f"{part}/{row}" if part else str(row) for part, n in sizes.items() for row in range(n)], np.str_)


def part_roles(sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """The rows of each named part, of parts that follow one another."""
    ends = np.cumsum(list(sizes.values()))
    return {
        part: np.arange(end - n, end, dtype=np.int64)
        for (part, n), end in zip(sizes.items(), ends, strict=True)
        if part
    }


def content_hash(content: bytes) -> bytes:
    """16-byte BLAKE2b of `content`."""
    return hashlib.blake2b(content, digest_size=16).digest()


def shown_name(path: Path, *, otherwise: str) -> str:
    """The last part of a path, for reports; `otherwise` where it has none, or one that does not print.

    Example:
        >>> shown_name(Path("data/photos"), otherwise="image_folder"), shown_name(Path("/"), otherwise="image_folder")
        ('photos', 'image_folder')
    """
    name = path.resolve().name
    return name if name.isprintable() and name else otherwise


def check_bad_limit(max_bad_fraction: float) -> None:
    """Refuse a `max_bad_fraction` that is no number in 0 … 1, by `ConfigError`."""
    if isinstance(max_bad_fraction, bool) or not isinstance(max_bad_fraction, int | float):
        raise ConfigError(f"max_bad_fraction must be a number in 0 … 1, got {max_bad_fraction!r}")
    if not 0 <= max_bad_fraction <= 1:
        raise ConfigError(f"max_bad_fraction must be in 0 … 1, got {max_bad_fraction}")
