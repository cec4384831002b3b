"""From rows of a source to one array, the bad ones set aside with their reasons."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.images import to_array
from dqh.data.source import Source
from dqh.errors import BadImageError, DataError
from dqh.inputs import InputSpec

if TYPE_CHECKING:
    from torch import Tensor

SHARED_MEMORY = Path("/dev/shm")
"""Where Linux keeps what processes share."""

_PARTS = 64  # that may be there at a time: 16 workers, two ahead of each, and as many again


class Decoded(NamedTuple):
    """Some rows, read: (n, 3, R, R) uint8 images, channels last in memory, or (n, F) float32 vectors, of good rows.

    `rows` (n,) int64 are the good ones, in the order asked for, `bad` has the reason of each bad one.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    rows: NDArray[np.int64]
    bad: dict[int, str]


class Decoder:
    """Reads groups of rows; `decoder[rows]` is what a worker process calls.

    Raises:
        DataError: the source holds vectors and the spec wants images, or the other way round, or their lengths differ.
    """

    def __init__(self, source: Source, spec: InputSpec) -> None:
        if source.kind != spec.kind:
            raise DataError(f"{source.name} holds data of kind {source.kind!r}, the input spec wants {spec.kind!r}")
        if spec.kind == "vector" and source.size != spec.size:
            raise DataError(f"{source.name} holds vectors of length {source.size}, the input spec wants {spec.size}")
        self.source = source
        self.spec = spec

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image or vector."""
        return (self.spec.size,) if self.spec.kind == "vector" else (3, self.spec.resize, self.spec.resize)

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.float32]:
        """Of the values."""
        return np.dtype(np.float32) if self.spec.kind == "vector" else np.dtype(np.uint8)

    def __getitem__(self, rows: NDArray[np.int64]) -> Decoded:
        if self.spec.kind == "vector":
            return self._vectors(rows)
        if self.source.bulk_size == self.spec.resize:
            return Decoded(self.source.read_many(rows), rows, {})
        images = channels_first(np.empty((len(rows), *channels_last(self.shape)), dtype=np.uint8))
        good: list[int] = []
        bad: dict[int, str] = {}
        for row in rows.tolist():
            try:
                image = self.source.read(row)
                assert isinstance(image, Image.Image)
                images[len(good)] = to_array(image, self.spec)
            except BadImageError as error:
                bad[row] = str(error)
                continue
            except MemoryError:
                bad[row] = "not enough memory to read or resize it"
                continue
            good.append(row)
        return Decoded(images[: len(good)], np.array(good, dtype=np.int64), bad)

    def _vectors(self, rows: NDArray[np.int64]) -> Decoded:
        vectors = self.source.read_many(rows)
        finite = np.isfinite(vectors).all(axis=1)
        bad = dict.fromkeys(rows[~finite].tolist(), "the vector holds NaN or infinity")
        return Decoded(vectors[finite], rows[finite], bad)


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(3, R, R) to (R, R, 3), in which networks compute fastest; that of a vector as it is."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def channels_first(images: NDArray[Any]) -> NDArray[Any]:
    """A view (n, 3, R, R) of images (n, R, R, 3); vectors as they are."""
    return images.transpose(0, 3, 1, 2) if images.ndim == 4 else images


def joined(parts: Sequence[Decoded]) -> Decoded:
    """Several parts as one."""
    if len(parts) == 1:
        return parts[0]
    last = (0, 2, 3, 1) if parts[0].images.ndim == 4 else (0, 1)  # in memory, channels are last
    images = np.concatenate([part.images.transpose(last) for part in parts])
    bad = {row: reason for part in parts for row, reason in part.bad.items()}
    return Decoded(channels_first(images), np.concatenate([part.rows for part in parts]), bad)


def shareable(part: Decoded) -> tuple["Tensor | NDArray[Any]", NDArray[np.int64], dict[int, str]]:
    """What a worker process sends of a part: images as a tensor, which torch shares in place of copying it by a pipe.

    Where the shared memory of the system is small, as it is in many containers, the pipe is taken after all.
    """
    import torch

    small = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free < _PARTS * part.images.nbytes
    return part.images if small else torch.from_numpy(part.images), part.rows, part.bad


def received(sent: tuple["Tensor | NDArray[Any]", NDArray[np.int64], dict[int, str]]) -> Decoded:
    """The part that a worker made `shareable`."""
    images, rows, bad = sent
    return Decoded(images if isinstance(images, np.ndarray) else images.numpy(), rows, bad)
