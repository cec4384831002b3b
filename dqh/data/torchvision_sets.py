"""MNIST, FashionMNIST, CIFAR-10 and CIFAR-100 in the folders that torchvision makes.

Rows are the official train part, then the official test part; ids are `train/17`, `test/3`. Nothing downloads
unless asked: `download=True` fetches missing files, with torchvision, when the first label or image is read.
"""

import gzip
import math
import zlib
from collections.abc import Callable
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.source import ArraySource
from dqh.errors import DataError
from dqh.files import open_regular

_UNSIGNED_BYTE = 8
_MAX_BYTES = 2**31  # far above every published set: a damaged header must not claim all memory


class MNIST(ArraySource):
    """70,000 handwritten digits, 28 × 28 grey (LeCun et al. 1998).

    Args:
        root: the folder that holds `MNIST/raw/` with the four IDX files, unpacked or gzipped; may be read-only.
        download: fetch missing files into `root`.

    Raises:
        DataError: a file is missing and `download` is False.
    """

    name = "mnist"
    size = 28
    bulk_size = 28
    _torchvision_name = "MNIST"

    def __init__(self, *, root: str | Path, download: bool = False) -> None:
        self._files = _IdxFolder(self._torchvision_name, Path(root), download=download)

    @property
    def class_names(self) -> tuple[str, ...]:
        """`0` … `9`."""
        return tuple("0123456789")

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) the digit."""
        return np.concatenate([self._files.labels(part) for part in _IDX_NAMES])

    @cached_property
    def _part_sizes(self) -> dict[str, int]:
        return {part: len(self._files.labels(part)) for part in _IDX_NAMES}

    def _read_pixels(self) -> NDArray[np.uint8]:
        return np.concatenate([self._files.images(part, self._part_sizes[part]) for part in _IDX_NAMES])


class FashionMNIST(MNIST):
    """70,000 pictures of clothes, 28 × 28 grey (Xiao et al. 2017).

    Arguments and errors as for `MNIST`, the folder is `FashionMNIST/raw/`.
    """

    name = "fashion_mnist"
    _torchvision_name = "FashionMNIST"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The ten kinds of clothes."""
        return (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        )


class CIFAR10(ArraySource):
    """60,000 colour photos, 32 × 32, in 10 classes (Krizhevsky 2009).

    Args:
        root: the folder that holds `cifar-10-batches-py/` as published. Its files are pickles: torchvision checks
            the MD5 of each before it is opened, and a file that differs is refused.
        download: fetch missing files into `root`.

    Raises:
        DataError: the folder is missing and `download` is False.
    """

    name = "cifar10"
    size = 32
    bulk_size = 32
    _torchvision_name = "CIFAR10"
    _folder = "cifar-10-batches-py"
    _parts = ("train", "test")

    def __init__(self, *, root: str | Path, download: bool = False) -> None:
        self._root = Path(root)
        self._download = download
        folder = self._root / self._folder
        if not download and not folder.is_dir():
            raise DataError(_missing(self._torchvision_name, [str(folder)]))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names that the data set's own files give."""
        return tuple(self._sets[0].classes)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) the class."""
        return np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in self._sets])

    @cached_property
    def _part_sizes(self) -> dict[str, int]:
        return {part: len(content.targets) for part, content in zip(self._parts, self._sets, strict=True)}

    @cached_property
    def _sets(self) -> tuple[Any, Any]:
        folder = self._root / self._folder
        load = _torchvision_class(self._torchvision_name)
        if self._download:
            _fetch(self._torchvision_name, self._root, [str(folder)])
        try:
            return load(str(self._root), train=True), load(str(self._root), train=False)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{folder} is unreadable, incomplete or differs from the published files ({error}); remove it and "
                "pass data.download=true, or put the published files there"
            ) from error

    def _read_pixels(self) -> NDArray[np.uint8]:
        return np.concatenate([part.data for part in self._sets])


class CIFAR100(CIFAR10):
    """60,000 colour photos, 32 × 32, in 100 classes, the fine labels (Krizhevsky 2009).

    Arguments and errors as for `CIFAR10`, the folder is `cifar-100-python/`.
    """

    name = "cifar100"
    _torchvision_name = "CIFAR100"
    _folder = "cifar-100-python"


_IDX_NAMES = {"train": "train", "test": "t10k"}


class _IdxFolder:
    """The four IDX files of one data set, found or fetched."""

    def __init__(self, torchvision_name: str, root: Path, *, download: bool) -> None:
        self._torchvision_name = torchvision_name
        self._root = root
        self._download = download
        missing = self._missing()
        if missing and not download:
            raise DataError(_missing(torchvision_name, missing))

    def labels(self, part: str) -> NDArray[np.int64]:
        labels = self._read(f"{_IDX_NAMES[part]}-labels-idx1-ubyte")
        if labels.ndim != 1 or (labels > 9).any():
            raise DataError(f"{self._folder} {part}: labels must be (N,) in 0 … 9, got the shape {labels.shape}")
        return labels.astype(np.int64)

    def images(self, part: str, count: int) -> NDArray[np.uint8]:
        images = self._read(f"{_IDX_NAMES[part]}-images-idx3-ubyte")
        if images.shape != (count, 28, 28):
            raise DataError(f"{self._folder} {part}: images must be {(count, 28, 28)}, got {images.shape}")
        return images

    @property
    def _folder(self) -> Path:
        return self._root / self._torchvision_name / "raw"

    def _read(self, name: str) -> NDArray[np.uint8]:
        path = find_idx(self._folder / name)
        if path is None and self._download:
            _fetch(self._torchvision_name, self._root, self._missing())
            path = find_idx(self._folder / name)
        if path is None:
            raise DataError(_missing(self._torchvision_name, [str(self._folder / name)]))
        return read_idx(path)

    def _missing(self) -> list[str]:
        names = [
            f"{part}-{kind}" for part in _IDX_NAMES.values() for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        ]
        return [str(self._folder / name) for name in names if find_idx(self._folder / name) is None]


def _missing(name: str, paths: list[str]) -> str:
    return f"{name} is not there: looked for {', '.join(paths)}; pass data.download=true, or put the files there"


def _fetch(name: str, root: Path, paths: list[str]) -> None:
    """Downloads what is missing of a data set into `root`; `paths` are where it can be put by hand."""
    try:
        _torchvision_class(name)(str(root), train=True, download=True)
    except (OSError, RuntimeError, HTTPException) as error:  # no network or server, no space, another checksum
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name} could not be downloaded into {root} ({reason}); look at the network and the folder and run again, "
            f"or put the published files at {', '.join(paths)}"
        ) from error


def _torchvision_class(name: str) -> Callable[..., Any]:
    from torchvision import datasets

    loader: Callable[..., Any] = getattr(datasets, name)
    return loader


def find_idx(path: Path) -> Path | None:
    """`path` where something is there, else `path` with `.gz`, else None."""
    return next((candidate for candidate in (path, path.with_name(path.name + ".gz")) if candidate.exists()), None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzipped where its name ends in `.gz`.

    Raises:
        DataError: the file cannot be read, is of another kind, or is shorter or longer than its header says.
    """
    try:
        with open_regular(path, links=True) as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != bytes((0, 0, _UNSIGNED_BYTE)):
                raise DataError(f"{path} is no IDX file of unsigned bytes: it begins with {magic!r}")
            header = file.read(4 * magic[3])
            shape = np.frombuffer(header[: len(header) // 4 * 4], dtype=">u4").tolist()
            wanted = math.prod(shape)
            content = file.read(min(wanted, _MAX_BYTES) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(shape) != magic[3] or len(content) != wanted:
        raise DataError(f"{path} is damaged: its header promises {shape} bytes, the file holds {len(content)} or more")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
