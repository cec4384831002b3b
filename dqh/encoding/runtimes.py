"""What computes codes, embeddings and features of images: torch, or ONNX Runtime on a CPU, which loads no torch.

N images.
"""

import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dqh.artifact import Interface, load_interface
from dqh.codes import code_bytes
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
from dqh.encoding.onnx_runtime import OnnxForm, load_onnx
from dqh.errors import ConfigError

if TYPE_CHECKING:
    from dqh.data import Store

logger = logging.getLogger(__name__)

RUNTIMES = ("torch", "onnx")


class Encode(Protocol):
    """`dqh.encoding.encode.encode` of one artifact on one runtime."""

    def __call__(
        self,
        *,
        store: "Store | Images",
        rows: NDArray[np.int64] | None = None,
        batch_size: int = BATCH_SIZE,
        padded: bool = False,
    ) -> EncodedRows:
        """Encode rows of a store, or an array; see `dqh.encoding.encode.encode`."""


class Runnable(NamedTuple):
    """The encoder of an artifact on a runtime, and what goes in and comes out."""

    interface: Interface
    run: Encode


def encode_on(runtime: str, path: Path, *, device: str | None = None, bits: int | None = None) -> Runnable:
    """The encoder of an artifact on a runtime.

    Args:
        runtime: `torch`, or `onnx`: the artifact's `encoder.onnx`, on the CPU, for which its weights are not read.
        path: of the artifact.
        device: that torch computes on, `cpu`, `cuda` or `cuda:N`; None for CUDA where there is one, else the CPU.
        bits: which of its lengths; None for the main one.

    Raises:
        ConfigError: there is no such runtime or device, or the one does not compute on the other.
        ArtifactError: there is no artifact, it is damaged, or has no codes of this length or no ONNX form of them where
            that is asked for.
        DqhError: onnxruntime is not installed.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
    if runtime == "torch":
        from dqh.artifact import load_artifact
        from dqh.encoding.encode import encode

        artifact = load_artifact(path, bits=bits)
        _require_device(device)

        return Runnable(artifact.interface, partial(encode, artifact.encoder, artifact.quantizer, device=device))
    interface = load_interface(path, bits=bits)
    if device not in (None, "cpu"):
        raise ConfigError(f"runtime onnx computes on the CPU, got device {device!r}; leave the device off")
    return Runnable(interface, partial(_by_onnx, load_onnx(path, interface.encoder_id), interface))


def _require_device(name: str | None) -> None:
    """Raise ConfigError where a device is not here, before anything is made for it."""
    if name is None:
        return
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:  # no such kind, or a number that is none
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be cpu, cuda or cuda:N, got {name!r}; leave --device off")
    count = 1 if device.type == "cpu" else torch.cuda.device_count()
    if not count or (device.type == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device {name}: there is no CUDA device here; leave --device off")
    if (device.index or 0) >= count:
        raise ConfigError(f"device {name}: the last one here is {device.type}:{count - 1}; leave --device off")


def _by_onnx(
    form: OnnxForm,
    interface: Interface,
    *,
    store: "Store | Images",
    rows: NDArray[np.int64] | None = None,
    batch_size: int = BATCH_SIZE,
    padded: bool = False,
) -> EncodedRows:
    """`encode` by the ONNX form."""
    kind = interface.spec.kind
    if padded and rows is not None and not isinstance(store, np.ndarray):
        batches = padded_arrays(store, rows, interface.spec, size=batch_size, shape=min(batch_size, SHAPE))
    else:
        rows, batches = arrays_of(store, rows, interface.spec, size=batch_size)
    codes = np.empty((len(rows), code_bytes(interface.quantizer.bits)), np.uint8)
    embedding = np.empty((len(rows), interface.quantizer.dimension), np.float32)
    features = room(len(rows), interface.feature_size)
    good = [np.empty(0, np.int64)]
    filled, network, started, finite = 0, 0.0, time.perf_counter(), Finite(store, kind)
    for array, read in batches:
        is_image = read >= 0
        good.append(read[is_image])
        if not is_image.any():
            continue
        began = time.perf_counter()
        part = slice(filled, filled + len(good[-1]))
        answers = form(cast(Images, np.ascontiguousarray(array)))
        codes[part], embedding[part], features[part] = (answer[is_image] for answer in answers)
        finite.see(embedding[part], features[part])
        network += time.perf_counter() - began
        filled = part.stop
    seconds = time.perf_counter() - started
    speed = Speed(filled, seconds, seconds - network, 0.0, network, batch_size)
    level = logging.INFO if speed.seconds >= TOLD else logging.DEBUG
    logger.log(level, "encoded %ss by ONNX Runtime: %s", kind, speed)
    seen = np.concatenate(good)
    chosen = finite.chosen(seen)
    codes, embedding, features = codes[:filled][chosen], embedding[:filled][chosen], features[:filled][chosen]
    return EncodedRows(seen[chosen], codes, embedding, features, speed)
