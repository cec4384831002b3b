"""From images to codes, embeddings and features: one pass of an encoder over rows of a source, by torch."""

import logging
import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Store
from dqh.data.store import Batch
from dqh.encoding.encoded_rows import (
    BATCH_SIZE,
    SHAPE,
    TOLD,
    EncodedRows,
    Finite,
    Images,
    Speed,
    arrays_of,
    padded_arrays,
    room,
)
from dqh.encoding.encoder_run import EncoderRun, shared_by
from dqh.inputs import InputSpec
from dqh.models import Encoder
from dqh.progress import Progress
from dqh.quantizers import Quantizer

logger = logging.getLogger(__name__)


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
    padded: bool = False,
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
        padded: batches of a store have one shape, see `padded_arrays`: on a CPU `SHAPE` images, or `batch_size` where
            those are fewer, on a GPU `batch_size`. No row is to be named twice.

    Raises:
        ValueError: `batch_size` or `devices` is below 1, or there are fewer devices; a store is given without rows,
            or images are of another shape or type.
        DqhError: the device has no memory for a single image.
        ArtifactError: the network answers NaN or infinity for all of the first batch; of a store, single images for
            which it does are unusable.
        BadImageError: it does for one of an array.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    shape = (min(batch_size, SHAPE) if place.type == "cpu" else batch_size) if padded else None
    rows, batches = batches_of(store, rows, encoder.spec, size=batch_size, shape=shape)
    network = EncoderRun(encoder, shared_by(place, devices), shape or batch_size)
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
    images: Store | Images, rows: NDArray[np.int64] | None, spec: InputSpec, *, size: int, shape: int | None = None
) -> tuple[NDArray[np.int64], Iterator[Batch]]:
    """What `arrays_of` gives, as tensors; with a shape, what `padded_arrays` does."""
    if shape is None or isinstance(images, np.ndarray) or rows is None:
        rows, parts = arrays_of(images, rows, spec, size=size)
    else:
        parts = padded_arrays(images, rows, spec, size=size, shape=shape)
    return rows, (Batch(torch.from_numpy(array), torch.from_numpy(part)) for array, part in parts)
