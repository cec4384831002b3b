"""From images to codes, embeddings and features: one pass of an encoder over rows of a source."""

import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Store
from dqh.data.store import Batch
from dqh.encoding.encoder_run import EncoderRun, shared_by
from dqh.encoding.finite import Finite
from dqh.inputs import InputSpec
from dqh.models import Encoder
from dqh.progress import Progress
from dqh.quantizers import Quantizer

logger = logging.getLogger(__name__)

IN_MEMORY = 4 * 2**30
"""Bytes of features kept in memory; larger ones go to an unlinked temporary file."""

BATCH_SIZE = 256
"""Images at a time, where nothing else is asked for."""

BATCH_BYTES = 256 * 2**20
"""Bytes of images at a time, before they are cropped; 256 images of up to 591 pixels."""

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


def encode(
    encoder: Encoder,
    quantizer: Quantizer,
    *,
    store: Store | Images,
    rows: NDArray[np.int64] | None = None,
    device: torch.device | str | None = None,
    batch_size: int = BATCH_SIZE,
    devices: int = 1,
    progress: Progress | None = None,
) -> EncodedRows:
    """Encode rows of a source, in order.

    Where the device runs out of memory, the batch is halved until it fits, and a warning says so.

    Args:
        encoder: in evaluation mode; moved to `device` and left there, on a GPU with its weights channels-last.
        quantizer: embedding → codes.
        store: where images come from, which gets to know the unusable ones; or the images themselves, raw (N, 3, S, S)
            uint8 with S = `encoder.spec.size`, or vectors (N, F) float32.
        rows: (N,) int64; None for all of an array.
        device: to compute on; None for CUDA where there is one, else the CPU.
        batch_size: images at a time, at least 1. Other sizes may give other last digits.
        devices: CUDA devices that take whole batches in turn, from the first one on; one on the CPU. Their number
            changes no digit where they are alike.
        progress: told of the images that are encoded.

    Raises:
        ValueError: `batch_size` or `devices` is below 1, or there are fewer devices; a store is given without rows,
            or images are of another shape or type.
        DqhError: the device has no memory for a single image.
        ArtifactError: the network answers NaN or infinity for all of the first batch; of a store, single images for
            which it does are unusable.
        BadImageError: it does for one of an array.
    """
    rows, batches = batches_of(store, rows, encoder.spec, size=batch_size)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    network = EncoderRun(encoder, shared_by(place, devices), batch_size)
    embedding = np.empty((len(rows), encoder.head.dimension), np.float32)
    features = room(len(rows), encoder.backbone.dimension)
    filled, started, finite = 0, time.perf_counter(), Finite(store, encoder.spec.kind)
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # as on a CPU, whose codes are the golden ones
    with torch.inference_mode(), exact:
        for part in network.run(batches):
            end = filled + len(part.embedding)
            embedding[filled:end] = part.embedding.numpy()
            features[filled:end] = part.features.numpy()
            finite.see(embedding[filled:end], features[filled:end])
            if progress is not None:
                progress.advance(end - filled)
            filled = end
    seconds = time.perf_counter() - started
    speed = Speed(filled, seconds, network.waiting, network.transfer, network.network, network.size)
    level = logging.INFO if speed.seconds >= TOLD else logging.DEBUG
    logger.log(level, "encoded %ss: %s", encoder.spec.kind, speed)
    good = np.concatenate([np.empty(0, np.int64), *network.rows])
    chosen = finite.chosen(good)
    embedding, features = embedding[:filled][chosen], features[:filled][chosen]
    return EncodedRows(good[chosen], quantizer.encode(embedding), embedding, features, speed)


def batches_of(
    images: Store | Images, rows: NDArray[np.int64] | None, spec: InputSpec, *, size: int
) -> tuple[NDArray[np.int64], Iterator[Batch]]:
    """The rows asked for, and their images a batch at a time.

    Args:
        images: as the `store` of `encode`.
        rows: (N,) int64; None for all of an array.
        spec: what enters the network.
        size: images at a time, at least 1; of a store, fewer where so many take more than `BATCH_BYTES`.

    Raises:
        ValueError: as for `encode`.
    """
    if size < 1:
        raise ValueError(f"batch_size must be at least 1, got {size}")
    if isinstance(images, Store):
        if rows is None:
            raise ValueError("rows must be given with a store, got None; pass np.arange(len(source)) for all")
        size = min(size, max(1, BATCH_BYTES // images.row_bytes))
        return rows, images.batches(_portions(rows, size), size=spec.size)
    shape, kind = ((3, spec.size, spec.size), np.uint8) if spec.kind == "image" else ((spec.size,), np.float32)
    if images.shape[1:] != shape or images.dtype != kind:
        raise ValueError(
            f"images must be {np.dtype(kind)} of shape (N, {', '.join(map(str, shape))}), got {images.dtype} of shape "
            f"{images.shape}"
        )
    wanted = np.arange(len(images)) if rows is None else rows
    chosen = (Batch(torch.from_numpy(images[part]), torch.from_numpy(part)) for part in _portions(wanted, size))
    return wanted, chosen


def _portions(rows: NDArray[np.int64], size: int) -> Iterable[NDArray[np.int64]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


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
