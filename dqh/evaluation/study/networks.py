"""The networks of a feature study: from raw images to the features at all taps asked for, in one pass."""

import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from dqh.data import Store
from dqh.encoding.encoded_rows import room
from dqh.errors import ConfigError, DataError
from dqh.inputs import InputSpec
from dqh.models import BACKBONES, Backbone, Timm
from dqh.models.pretrained import TorchvisionBackbone
from dqh.progress import Progress

logger = logging.getLogger(__name__)

_LEVELS = 8  # of each colour channel


class ColourHistogram(Backbone):
    """The simplest feature: how much of an image each of 8 × 8 × 8 colours covers, as shares that sum to 1.

    Args:
        size: side of the image, pixels.
        resize: side of the square whose centre the image is, pixels; None for `size`.

    Raises:
        ValueError: sizes that cannot be.
    """

    name = "colour_histogram"
    taps = ("rgb512",)
    architecture = ()

    def __init__(self, *, size: int = 224, resize: int | None = None) -> None:
        super().__init__()
        self.spec = InputSpec(size=size, resize=resize or size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.dimension = _LEVELS**3
        self.arguments = {}

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32, 0 … 1, to shares, (N, 512): red varies slowest, blue fastest."""
        red, green, blue = ((255 * images).round().long() // (256 // _LEVELS)).unbind(1)
        colours = ((red * _LEVELS + green) * _LEVELS + blue).flatten(1)
        first = self.dimension * torch.arange(len(images), device=images.device)[:, None]
        counts = torch.bincount((first + colours).flatten(), minlength=self.dimension * len(images))
        return counts.view(-1, self.dimension).float() / colours.shape[1]


NETWORKS: dict[str, type[Backbone]] = {**BACKBONES, ColourHistogram.name: ColourHistogram}
"""What a feature study may name; a network of timm's as `timm/MODEL`."""


def taps_of(name: str) -> Sequence[str]:
    """The taps of a network of the study, earliest layer first; none where there is no network of that name."""
    key, _, model = name.partition("/")
    kind = NETWORKS.get(key)
    if kind is Timm and model:
        return Timm.taps_of(model)
    return () if kind is None else kind.taps


class Network(nn.Module):
    """A backbone at several of its taps, with the normalisation before it.

    torchvision's networks compute all taps in one pass. Of the others each tap has a pass of its own, through the same
    weights.

    Args:
        name: a key of `NETWORKS`, or `timm/MODEL`.
        taps: of its taps, at least one.
        options: further arguments of its constructor, `weights`, `size`, `resize` and `download`; one that is None or
            False is the constructor's to choose.

    Attributes:
        name: as given.
        origin: where the weights come from: `random`, a name of torchvision's, a file's name, or `none` where there
            are none.
        spec: the input.
        taps: as given, earliest layer first.

    Raises:
        ConfigError: unknown weights, or weights that are missing or do not fit, or an argument it does not take.
        ValueError: sizes that cannot be.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, *, taps: Sequence[str], options: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name
        self.taps = tuple(tap for tap in taps_of(name) if tap in taps)
        deepest = _started(name, self.taps[-1], options)
        self.spec = deepest.spec
        weights = options.get("weights")
        untrained = "random" if any(True for _ in deepest.parameters()) else "none"
        self.origin = untrained if weights is None else Path(weights).name
        self.register_buffer("mean", 255 * torch.tensor(self.spec.mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(self.spec.std).view(1, 3, 1, 1))
        self.body: nn.Module | None = None
        if isinstance(deepest, TorchvisionBackbone):
            nodes = {deepest.nodes[tap]: tap for tap in self.taps}
            self.body = create_feature_extractor(deepest.eval().body, nodes)
        else:
            others = [_started(name, tap, options) for tap in self.taps[:-1]]
            for other in others:
                own = other.state_dict()
                other.load_state_dict({key: value for key, value in deepest.state_dict().items() if key in own})
            self.cuts = nn.ModuleList([*others, deepest])
        self.eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, F) float32 features by tap, of raw (N, 3, S, S) uint8 images or of (N, F) float vectors."""
        if self.spec.kind == "image":
            images = ((images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        if self.body is None:
            return {tap: cut(images) for tap, cut in zip(self.taps, self.cuts, strict=True)}
        features: dict[str, Tensor] = self.body(images)
        return features


class Extracted(NamedTuple):
    """What a network says of the usable rows (N,): by tap (N, F) float32, and milliseconds an image of each batch."""

    rows: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]
    batch_ms: list[float]


def extract(
    network: Network, store: Store, rows: NDArray[np.int64], *, device: torch.device, batch_size: int
) -> Extracted:
    """Features of rows of a source at every tap, in order.

    The network is left on `device`, and the store gets to know the unusable images.

    Raises:
        DataError: a feature is NaN or infinite, or no image can be used.
    """
    network.to(device)
    features: dict[str, NDArray[np.float32]] = {}
    kept: list[NDArray[np.int64]] = []
    batch_ms, filled, progress = [], 0, Progress("seen", len(rows), noun=f"images by {network.name}")
    groups = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.inference_mode(), exact:
        for batch in store.batches(groups, size=network.spec.size):
            if len(batch.images) == 0:
                continue
            images = batch.images.to(device)
            start = time.perf_counter()
            values_at = {tap: values.float().cpu().numpy() for tap, values in network(images).items()}
            batch_ms.append(1000 * (time.perf_counter() - start) / len(images))
            for tap, values in values_at.items():
                if not np.isfinite(values).all():
                    raise DataError(
                        f"{network.name} gives features at {tap} that are NaN or infinite; look at its weights"
                    )
                if tap not in features:
                    features[tap] = room(len(rows), values.shape[1])
                features[tap][filled : filled + len(values)] = values
            kept.append(batch.rows.numpy())
            filled += len(images)
            progress.advance(len(images))
    if not kept:
        raise DataError(f"none of the {len(rows)} images can be used")
    return Extracted(np.concatenate(kept), {tap: values[:filled] for tap, values in features.items()}, batch_ms)


def _started(name: str, tap: str, options: Mapping[str, Any]) -> Backbone:
    key, _, model = name.partition("/")
    kind = NETWORKS[key]
    accepted = inspect.signature(kind).parameters
    every = {**options, "model": model or None}
    given = {key: value for key, value in every.items() if value is not None and value is not False}
    if "download" not in accepted:
        given.pop("download", None)  # leave to do so, and no wish
    problems = [f"{kind.name} takes no {key}, got {value!r}" for key, value in given.items() if key not in accepted]
    if "model" in accepted and not model:
        problems.append(f"which model? write {kind.name}/MODEL")
    if problems:
        raise ConfigError(problems)
    return kind(**given, **({"tap": tap} if "tap" in accepted else {}))
