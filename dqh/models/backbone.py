"""What all backbones have in common: a named tap, an input that fits the weights, and safe loading of weights."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dqh.errors import ConfigError, first_line
from dqh.inputs import InputSpec
from dqh.tensors import load_tensors


class Backbone(nn.Module):
    """A network up to one named layer, the tap, whose flattened output are the features.

    Attributes:
        name: the key of this class in `dqh.models.BACKBONES`, also written into artifacts.
        taps: legal taps, earliest layer first.
        architecture: names of the constructor's arguments that say how the network is built, and not how it starts or
            what enters it.
        spec: the input that this network with these weights expects.
        dimension: F, length of a feature vector.
        arguments: JSON values of exactly `architecture`, with which the constructor builds the same network again.
    """

    name: ClassVar[str]
    taps: ClassVar[Sequence[str]]
    architecture: ClassVar[tuple[str, ...]]
    spec: InputSpec
    dimension: int
    arguments: dict[str, Any]

    def require_tap(self, tap: str) -> None:
        """Raise `ConfigError` unless `tap` is a tap of this network."""
        if tap not in self.taps:
            close = get_close_matches(tap, self.taps, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"tap must be one of {', '.join(self.taps)} for {self.name}, got {tap!r}{hint}")

    def initialise(self, images: Tensor) -> None:
        """Take from training images what the first weights depend on; most networks take nothing.

        Args:
            images: (N, 3, S, S) in model space, or vectors (N, F).
        """

    def unfit(self, images: Tensor) -> Tensor:
        """(N,) bool: which of some images or vectors must not be trained on, once initialised; none of most networks.

        Args:
            images: as for `initialise`.
        """
        return torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def load_weights(self, weights: Mapping[str, Tensor], origin: str) -> None:
        """Copy weights into this network.

        Args:
            weights: name → tensor; names as in this network.
            origin: where they come from, for the error.

        Raises:
            ConfigError: names or shapes do not fit; up to three of each are named.
        """
        own = self.state_dict()
        problems = [f"missing {name}" for name in own if name not in weights and "num_batches_tracked" not in name]
        problems += [f"unknown {name}" for name in weights if name not in own]
        problems += [
            f"{name} has shape {tuple(weights[name].shape)}, wanted {tuple(value.shape)}"
            for name, value in own.items()
            if name in weights and weights[name].shape != value.shape
        ]
        if problems:
            more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
            raise ConfigError(f"weights: {origin} does not fit {self.name}: {'; '.join(problems[:3])}{more}")
        self.load_state_dict(weights, strict=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict from a `.pt`, `.pth` or `.safetensors` file without executing anything in it.

    Args:
        path: the file; a `.pt` may hold the state_dict itself or have it under `state_dict` or `model`.

    Returns:
        Name → tensor, on the CPU; a `module.` in front of every name is cut off.

    Raises:
        ConfigError: no such file, another suffix, or nothing like a state_dict inside.
    """
    if path.suffix not in {".pt", ".pth", ".safetensors"}:
        raise ConfigError(f"weights: a file must end in .pt, .pth or .safetensors, got {path}")
    if not path.is_file():
        raise ConfigError(f"weights: no file at {path.absolute()}; put the weights there or correct the path")
    try:
        if path.suffix == ".safetensors":
            return load_tensors(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the parsers raise a dozen types on a broken file
        raise ConfigError(f"weights: {path} cannot be read as weights: {first_line(error)}") from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ConfigError(f"weights: {path} must hold a state_dict (name → tensor), got {type(content).__name__}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}
