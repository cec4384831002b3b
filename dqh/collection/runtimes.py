"""What computes codes, embeddings and features of images: torch, or ONNX Runtime on a CPU.

N images.
"""

import logging
import time
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.codes import code_bytes
from dqh.data import Store
from dqh.encoding.encode import BATCH_SIZE, TOLD, EncodedRows, Images, Speed, batches_of, encode, room
from dqh.encoding.finite import Finite
from dqh.errors import ConfigError
from dqh.export import Artifact
from dqh.export.onnx_runtime import OnnxForm, load_onnx

logger = logging.getLogger(__name__)

RUNTIMES = ("torch", "onnx")


class Encode(Protocol):
    """`dqh.encoding.encode.encode` of one artifact on one runtime."""

    def __call__(
        self, *, store: Store | Images, rows: NDArray[np.int64] | None = None, batch_size: int = BATCH_SIZE
    ) -> EncodedRows:
        """Encode rows of a store, or an array; see `dqh.encoding.encode.encode`."""


def encode_on(runtime: str, path: Path, artifact: Artifact, *, device: str | None = None) -> Encode:
    """What encodes images as an artifact does.

    Args:
        runtime: `torch`, or `onnx`: the artifact's `encoder.onnx`, on the CPU.
        path: of the artifact.
        artifact: its content.
        device: that torch computes on, `cpu`, `cuda` or `cuda:N`; None for CUDA where there is one, else the CPU.

    Raises:
        ConfigError: there is no such runtime or device, or the one does not compute on the other.
        ArtifactError: the artifact has no ONNX form, or that is damaged.
        DqhError: onnxruntime is not installed.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
    if runtime == "torch":
        _require_device(device)
        return partial(encode, artifact.encoder, artifact.quantizer, device=device)
    if device not in (None, "cpu"):
        raise ConfigError(f"runtime onnx computes on the CPU, got device {device!r}; leave the device off")
    return partial(_by_onnx, load_onnx(path, artifact.encoder_id), artifact)


def _require_device(name: str | None) -> None:
    """Raise ConfigError where a device is not here, before anything is made for it."""
    if name is None:
        return
    try:
        device = torch.device(name)
    except RuntimeError:  # no such kind, or a number that is none
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be cpu, cuda or cuda:N, got {name!r}; leave --device off")
    there = 1 if device.type == "cpu" else torch.cuda.device_count()
    if not there or (device.type == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device {name}: there is no CUDA device here; leave --device off")
    if (device.index or 0) >= there:
        raise ConfigError(f"device {name}: the last one here is {device.type}:{there - 1}; leave --device off")


def _by_onnx(
    form: OnnxForm,
    artifact: Artifact,
    *,
    store: Store | Images,
    rows: NDArray[np.int64] | None = None,
    batch_size: int = BATCH_SIZE,
) -> EncodedRows:
    """`encode` by the ONNX form."""
    encoder = artifact.encoder
    rows, batches = batches_of(store, rows, encoder.spec, size=batch_size)
    codes = np.empty((len(rows), code_bytes(artifact.quantizer.bits)), np.uint8)
    embedding = np.empty((len(rows), encoder.head.dimension), np.float32)
    features = room(len(rows), encoder.backbone.dimension)
    good = [np.empty(0, np.int64)]
    filled, network, started, finite = 0, 0.0, time.perf_counter(), Finite(store, encoder.spec.kind)
    for batch in batches:
        good.append(batch.rows.numpy())
        if not len(batch.rows):
            continue
        began = time.perf_counter()
        part = slice(filled, filled + len(batch.rows))
        codes[part], embedding[part], features[part] = form(np.ascontiguousarray(batch.images.numpy()))
        finite.see(embedding[part], features[part])
        network += time.perf_counter() - began
        filled = part.stop
    seconds = time.perf_counter() - started
    speed = Speed(filled, seconds, seconds - network, 0.0, network, batch_size)
    level = logging.INFO if speed.seconds >= TOLD else logging.DEBUG
    logger.log(level, "encoded %ss by ONNX Runtime: %s", encoder.spec.kind, speed)
    seen = np.concatenate(good)
    chosen = finite.chosen(seen)
    codes, embedding, features = codes[:filled][chosen], embedding[:filled][chosen], features[:filled][chosen]
    return EncodedRows(seen[chosen], codes, embedding, features, speed)
