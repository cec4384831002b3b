"""The layer that turns features into the embedding that is quantized."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dqh.models.activations import ACTIVATIONS, MOST_HIDDEN, Activation

_MODULES: dict[Activation, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "none": nn.Identity}


class HashHead(nn.Module):
    """Noise, dropout, one fully connected layer, an activation, and, where it is asked for, a length of 1.

    Before them a hidden layer may stand: fully connected, batch normalisation (Ioffe and Szegedy 2015), ReLU.

    Args:
        features: F, length of a feature vector.
        dimension: D, length of the embedding.
        activation: `sigmoid`, `tanh` or `none`.
        dropout: share of the features, or of the hidden units, zeroed in training, 0 … 1.
        noise: of the features in training: independent normal numbers are added, whose standard deviation is so many
            times that of the numbers of the batch, at least 0.
        normalise: whether the embedding is divided by its L2 norm, in float32.
        hidden: units of the hidden layer, at most `MOST_HIDDEN`; None for no such layer.

    Raises:
        ValueError: a size below 1 or beyond `MOST_HIDDEN`, an unknown activation, dropout outside 0 … 1, or noise
            that is negative or not finite.
    """

    def __init__(
        self,
        features: int,
        dimension: int,
        *,
        activation: Activation = "sigmoid",
        dropout: float = 0.0,
        noise: float = 0.0,
        normalise: bool = False,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if features < 1 or dimension < 1:
            raise ValueError(f"features and dimension must be at least 1, got {features} and {dimension}")
        if hidden is not None and not 1 <= hidden <= MOST_HIDDEN:
            raise ValueError(f"hidden must be null or in 1 … {MOST_HIDDEN}, got {hidden}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in 0 … 1, 1 excluded, got {dropout}")
        if not 0 <= noise < math.inf:
            raise ValueError(f"noise must be at least 0 and finite, got {noise}")
        self.features = features
        self.dimension = dimension
        self.activation: Activation = activation
        self.noise = noise
        self.normalise = normalise
        self.dropout = nn.Dropout(dropout)
        self.hidden = hidden
        if hidden is not None:
            self.first = nn.Linear(features, hidden, bias=False)
            self.norm = nn.BatchNorm1d(hidden)
        self.linear = nn.Linear(features if hidden is None else hidden, dimension)
        self.activate = _MODULES[activation]()

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) to the embedding, (N, D)."""
        return self.code(self.units(features))

    def units(self, features: Tensor) -> Tensor:
        """(N, F) to what H is given: the features, with noise in training, or the hidden units, (N, `hidden`)."""
        if self.noise and self.training:
            spread = features.detach().float().std(correction=0).to(features.dtype)
            features = features + self.noise * spread * torch.randn_like(features)
        return features if self.hidden is None else functional.relu(self.norm(self.first(features)))

    def code(self, units: Tensor) -> Tensor:
        """What `units` gives to the embedding, (N, D)."""
        embedding: Tensor = self.activate(self.linear(self.dropout(units)))
        return functional.normalize(embedding.float(), dim=1) if self.normalise else embedding
