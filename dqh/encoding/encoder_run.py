"""An encoder over batches of images, on one device or on several in turn.

D dimensions of an embedding, F of the features, n images of a part.
"""

import copy
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.data.pinned import dense
from dqh.data.store import Batch
from dqh.errors import DqhError
from dqh.models import Encoder

logger = logging.getLogger(__name__)


class Part(NamedTuple):
    """What the network says of some images, on the host once `seconds` of copies and network is asked.

    `kept` are the places of images, where zeros stand among them; a slice of all where none do.
    """

    embedding: Tensor
    features: Tensor
    seconds: Callable[[], tuple[float, float]]
    kept: Tensor | slice = slice(None)


def shared_by(device: torch.device, count: int) -> tuple[torch.device, ...]:
    """The devices that share the work: `device` itself, or the first `count` of CUDA; the CPU has one.

    Raises:
        ValueError: there are fewer, or none is asked for.
    """
    present = torch.cuda.device_count() if device.type == "cuda" else 1
    if not 1 <= count <= present:
        raise ValueError(f"devices: got {count}, wanted 1 … {present}, the number of {device.type} devices here")
    return (device,) if count == 1 else tuple(torch.device(device.type, number) for number in range(count))


class EncoderRun:
    """Runs an encoder over batches, as many images at a time as the memory of the devices allows.

    `waiting`, `transfer` and `network` are seconds without a batch, of copies, and of the network.
    """

    def __init__(self, encoder: Encoder, devices: tuple[torch.device, ...], size: int) -> None:
        self.size = size
        self.rows: list[NDArray[np.int64]] = []
        self.waiting = self.transfer = self.network = 0.0
        others = [copy.deepcopy(encoder) for _ in devices[1:]]
        self._copies = [
            (network.to(device), device) for network, device in zip((encoder, *others), devices, strict=True)
        ]
        for network, device in self._copies:
            if device.type == "cuda" and encoder.spec.kind == "image":
                network.to(memory_format=torch.channels_last)

    def run(self, batches: Iterator[Batch]) -> Iterator[Part]:
        """The output for all images, in order, but for those of row −1.

        GPUs work on later parts while the host takes an earlier one.
        """
        flying: deque[Part] = deque()
        turn = 0
        while (batch := self._next(batches)) is not None:
            is_image = batch.rows >= 0
            kept = slice(None) if is_image.all() else is_image
            self.rows.append(batch.rows[kept].numpy())
            start = 0
            while start < len(batch.images):
                images = batch.images[start : start + self.size]
                encoder, device = self._copies[turn % len(self._copies)]
                part = self._started(images, encoder, device)
                if part is None:
                    yield from self._all_arrived(flying, left=0)
                    self._halve(len(images), device)
                    continue
                own = slice(None) if isinstance(kept, slice) else kept[start : start + self.size]
                flying.append(part._replace(kept=own))
                yield from self._all_arrived(flying, left=len(self._copies))
                start, turn = start + len(images), turn + 1
        yield from self._all_arrived(flying, left=0)

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        started = time.perf_counter()
        batch = next(batches, None)
        self.waiting += time.perf_counter() - started
        return batch

    def _all_arrived(self, flying: deque[Part], *, left: int) -> Iterator[Part]:
        """The oldest parts, once they are there, until so many are left."""
        while len(flying) > left:
            part = flying.popleft()
            transfer, network = part.seconds()
            self.transfer += transfer
            self.network += network
            yield part._replace(embedding=part.embedding[part.kept], features=part.features[part.kept])

    def _started(self, images: Tensor, encoder: Encoder, device: torch.device) -> Part | None:
        """The output for some images, or None where memory ran out; what that attempt held is let go."""
        try:
            return (_on_cuda if device.type == "cuda" else _at_once)(images, encoder, device)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if len(images) == 1:
                raise DqhError(
                    f"{device} has no memory for the network and one {encoder.spec.kind} ({error}); end other "
                    "programs that use it, take a smaller network, or device=cpu"
                ) from error
        return None

    def _halve(self, images: int, device: torch.device) -> None:
        self.size = images // 2
        if device.type == "cuda":
            torch.cuda.empty_cache()
        kind = self._copies[0][0].spec.kind
        logger.warning("out of memory on %s with %d %ss at a time; going on with %d", device, images, kind, self.size)


def _at_once(images: Tensor, encoder: Encoder, device: torch.device) -> Part:
    left = time.perf_counter()
    given = images.to(device)
    arrived = time.perf_counter()
    output = encoder(given)
    done = time.perf_counter()
    embedding, features = output.embedding.float().cpu(), output.features.float().cpu()
    seconds = (arrived - left + time.perf_counter() - done, done - arrived)
    return Part(embedding, features, lambda: seconds)


def _on_cuda(images: Tensor, encoder: Encoder, device: torch.device) -> Part:
    """Nothing here waits for the device: copies start from, and end in, pinned memory."""
    event: Any = torch.cuda.Event
    marks = [event(enable_timing=True) for _ in range(4)]
    pinned = dense(images)
    with torch.cuda.device(device):
        marks[0].record()
        given = pinned.to(device, non_blocking=True)
        marks[1].record()
        output = encoder(given)
        marks[2].record()
        embedding, features = _on_its_way(output.embedding), _on_its_way(output.features)
        marks[3].record()

    def seconds() -> tuple[float, float]:
        marks[3].synchronize()
        upload, network, back = (one.elapsed_time(other) / 1000 for one, other in pairwise(marks))
        return upload + back, network

    return Part(embedding, features, seconds)


def _on_its_way(values: Tensor) -> Tensor:
    """A float32 copy in pinned memory, there once what was queued on the device until now is done."""
    return torch.empty(values.shape, pin_memory=True).copy_(values, non_blocking=True)


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether this is PyTorch's own error, or what CUDA (of pinned memory too), cuDNN or cuBLAS say without memory."""
    said = ("ALLOC_FAILED", "CUDA error: out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in said)
