"""What an encoder says of rows of a source, where it is kept, and which images it takes; nothing here needs torch.

An image that gets answers that are no numbers is unusable, a network that gives no others too.

n images of a batch, D dimensions of an embedding, F of the features.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.errors import ArtifactError, BadImageError
from dqh.inputs import InputSpec

if TYPE_CHECKING:
    from dqh.data import Store

logger = logging.getLogger(__name__)

REASON = "the network answers NaN or infinity for it"

IN_MEMORY = 4 * 2**30
"""Bytes of features kept in memory; larger ones go to an unlinked temporary file."""

BATCH_SIZE = 256
"""Images at a time, where nothing else is asked for."""

BATCH_BYTES = 256 * 2**20
"""Bytes of images at a time, before they are cropped; 256 images of up to 591 pixels."""

SHAPE = 16
"""Images that enter a network together on a CPU where batches are padded: as fast as more, and little is idle."""

TOLD = 1.0
"""Seconds from which the time of a pass is told."""

Images = NDArray[np.uint8] | NDArray[np.float32]


class Speed(NamedTuple):
    """Where the time of a pass went.

    On a GPU the parts run beside each other, so that they may add up to more than the whole.

    Attributes:
        images: that were encoded.
        seconds: of the whole pass.
        waiting: seconds in which no images were ready, for reading and decoding.
        transfer: seconds of copies to the device and back, by its own clock on a GPU.
        network: seconds of the network, likewise.
        batch_size: images at a time in the end; fewer than asked for where memory ran out.
    """

    images: int
    seconds: float
    waiting: float
    transfer: float
    network: float
    batch_size: int

    @property
    def images_per_s(self) -> float:
        """Of the whole pass."""
        return self.images / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        return (
            f"{self.images:,} in {self.seconds:.1f} s, {self.images_per_s:,.0f} a second: {self.waiting:.1f} s waiting "
            f"for decoding, {self.transfer:.1f} s transfer, {self.network:.1f} s network"
        )


class EncodedRows(NamedTuple):
    """What an encoder says of N rows.

    Attributes:
        rows: (N,) int64, rows of the source; those of unusable images are left out.
        codes: (N, bytes) uint8, packed.
        embedding: (N, D) float32.
        features: (N, F) float32, in memory or memory-mapped.
        speed: of the pass, without the quantizer.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: NDArray[np.float32]
    speed: Speed


def arrays_of(
    images: "Store | Images", rows: NDArray[np.int64] | None, spec: InputSpec, *, size: int
) -> tuple[NDArray[np.int64], Iterator[tuple[NDArray[Any], NDArray[np.int64]]]]:
    """The rows asked for, and images and rows of a batch at a time.

    Args:
        images: as the `store` of `dqh.encoding.encode.encode`.
        rows: (N,) int64; None for all of an array.
        spec: what enters the network.
        size: images at a time, at least 1; of a store, fewer where so many take more than `BATCH_BYTES`.

    Raises:
        ValueError: as for `encode`.
    """
    if isinstance(images, np.ndarray):
        require_images(images, spec)
        rows = np.arange(len(images)) if rows is None else rows
        return rows, ((images[part], part) for part in portions(rows, size))
    if rows is None:
        raise ValueError("rows must be given with a store, got None; pass np.arange(len(source)) for all")
    groups = portions(rows, batch_rows(images, size))
    return rows, images.arrays(groups, size=spec.size)


def padded_arrays(
    images: "Store", rows: NDArray[np.int64], spec: InputSpec, *, size: int, shape: int
) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
    """Images and rows, exactly `shape` at a time, so that the last digits of one do not hang on how many others came.

    Zeros stand behind the last image of a batch, and in the place of each that cannot be used; their row is −1.
    Arguments as for `arrays_of`, which reads batches of `size`.
    """
    _, batches = arrays_of(images, rows, spec, size=size)
    groups = portions(rows, batch_rows(images, size))
    for group, (array, good) in zip(groups, batches, strict=True):
        is_good = np.isin(group, good, assume_unique=True)
        numbers = np.full(-(-len(group) // shape) * shape, -1, np.int64)
        numbers[: len(group)][is_good] = good
        whole = array
        if len(good) < len(numbers):
            whole = np.zeros_like(array, shape=(len(numbers), *array.shape[1:]))
            whole[: len(group)][is_good] = array
        for start in range(0, len(numbers), shape):
            if (numbers[start : start + shape] >= 0).any():
                yield whole[start : start + shape], numbers[start : start + shape]


def batch_rows(images: "Store", size: int) -> int:
    """How many images of a store are read at a time: `size`, or fewer where so many take more than `BATCH_BYTES`."""
    return min(size, max(1, BATCH_BYTES // images.row_bytes))


def portions(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """`size` rows at a time; `ValueError` where that is below 1."""
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}")
    return (rows[start : start + size] for start in range(0, len(rows), size))


def require_images(images: Images, spec: InputSpec) -> None:
    """Raise `ValueError` unless images, or vectors, are of the shape and type that enter a network."""
    shape, kind = ((3, spec.size, spec.size), np.uint8) if spec.kind == "image" else ((spec.size,), np.float32)
    if images.shape[1:] != shape or images.dtype != kind:
        raise ValueError(
            f"images must be {np.dtype(kind)} of shape (N, {', '.join(map(str, shape))}), got {images.dtype} of shape "
            f"{images.shape}"
        )


def room(count: int, dimension: int) -> NDArray[np.float32]:
    """An empty (count, dimension) float32 array, in a temporary file where it is large."""
    if count * dimension * 4 <= IN_MEMORY:
        return np.empty((count, dimension), np.float32)
    logger.info("features take %.1f GB: kept in a temporary file", count * dimension * 4 / 1e9)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.npy"
        features: NDArray[np.float32] = np.lib.format.open_memmap(file, "w+", np.float32, (count, dimension))
        if hasattr(os, "posix_fallocate"):  # else a full disk ends the process by SIGBUS, in the midst of the writing
            try:
                with file.open("r+b") as opened:
                    os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
            except OSError as error:
                error.filename = str(file)
                raise
        return features


class Finite:
    """Which images of a pass have finite answers; a store gets to know the others."""

    def __init__(self, store: "Store | NDArray[Any]", kind: str) -> None:
        self._store, self._kind = store, kind
        self._fine: list[NDArray[np.bool_]] = []

    def see(self, embedding: NDArray[np.float32], features: NDArray[np.float32]) -> None:
        """The answers (n, D) and (n, F) to the next images; `ArtifactError` where none of the first ones is finite."""
        fine = np.asarray(np.isfinite(np.hstack([embedding, features])).all(axis=1))
        if not self._fine and len(fine) and not fine.any():
            raise ArtifactError(
                f"the network answers NaN or infinity for each of the first {len(fine)} {self._kind}s: its weights "
                "cannot be used; look what is wrong with them: dqh verify ARTIFACT"
            )
        self._fine.append(fine)

    def chosen(self, rows: NDArray[np.int64]) -> NDArray[np.bool_] | slice:
        """The places of all images seen, (N,) bool, that can be used; a slice of all where all can.

        Raises:
            BadImageError: one of an array cannot.
        """
        fine = np.concatenate([np.empty(0, np.bool_), *self._fine])
        if fine.all():
            return slice(None)
        others = rows[~fine].tolist()
        if isinstance(self._store, np.ndarray):
            raise BadImageError(f"{self._kind} {others[0]} cannot be used: {REASON}")
        self._store.skipped.update(dict.fromkeys(others, REASON))
        return fine
