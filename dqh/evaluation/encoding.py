"""From images to codes, embeddings and features: one pass of an encoder over rows of a source."""

import logging
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Store
from dqh.models import Encoder
from dqh.quantizers import Quantizer

logger = logging.getLogger(__name__)

IN_MEMORY = 4 * 2**30
"""Bytes of features kept in memory; larger ones go to an unlinked temporary file."""


class Encoded(NamedTuple):
    """What an encoder says of N rows.

    Attributes:
        rows: (N,) int64, rows of the source; those of unusable images are left out.
        codes: (N, bytes) uint8, packed.
        embedding: (N, D) float32.
        features: (N, F) float32, in memory or memory-mapped.
        images_per_s: speed of the pass, decoding included.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: NDArray[np.float32]
    images_per_s: float


def encode(
    encoder: Encoder,
    quantizer: Quantizer,
    *,
    store: Store,
    rows: NDArray[np.int64],
    device: torch.device,
    batch_size: int,
) -> Encoded:
    """Encode rows of a source, in order.

    Args:
        encoder: in evaluation mode; moved to `device` and left there.
        quantizer: embedding → codes.
        store: where images come from; gets to know the unusable ones.
        rows: (N,) int64.
        device: to compute on.
        batch_size: images at a time. Other sizes may give other last digits.
    """
    embedding = np.empty((len(rows), encoder.head.dimension), np.float32)
    features = room(len(rows), encoder.backbone.dimension)
    encoder.to(device)
    kept: list[NDArray[np.int64]] = []
    filled, started = 0, time.perf_counter()
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # as on a CPU, whose codes are the golden ones
    with torch.inference_mode(), exact:
        for batch in store.batches(_portions(rows, batch_size), size=encoder.spec.size):
            if len(batch.images) == 0:
                continue
            output = encoder(batch.images.to(device, non_blocking=True))
            end = filled + len(batch.rows)
            embedding[filled:end] = output.embedding.float().cpu().numpy()
            features[filled:end] = output.features.float().cpu().numpy()
            kept.append(batch.rows.numpy())
            filled = end
    seconds = max(time.perf_counter() - started, 1e-9)
    good = np.concatenate(kept) if kept else np.empty(0, np.int64)
    codes = quantizer.encode(embedding[:filled])
    return Encoded(good, codes, embedding[:filled], features[:filled], round(filled / seconds, 1))


def _portions(rows: NDArray[np.int64], size: int) -> Iterable[NDArray[np.int64]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def room(count: int, dimension: int) -> NDArray[np.float32]:
    """An empty (count, dimension) float32 array, in a temporary file where it is large."""
    if count * dimension * 4 <= IN_MEMORY:
        return np.empty((count, dimension), np.float32)
    logger.info("features take %.1f GB: kept in a temporary file", count * dimension * 4 / 1e9)
    with tempfile.TemporaryDirectory() as folder:
        return np.lib.format.open_memmap(Path(folder) / "features.npy", "w+", np.float32, (count, dimension))
