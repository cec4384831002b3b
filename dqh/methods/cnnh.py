"""CNNH and CNNH+: codes first, then a network that regresses them (Xia, Pan, Lai, Liu and Yan, AAAI 2014).

Before the training the similarities of images, 1 and −1, are factorised into codes; then a tanh layer learns to give
each image its code. CNNH+ learns the labels too, by a second layer on what H is given. The code is the sign.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.losses import classification_loss
from dqh.losses.factorisation import similarity_codes
from dqh.losses.precision import wide
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class CNNH(HashModule):
    """CNNH, and CNNH+.

    Departures: images with the same labels share a code, see `dqh.losses.factorisation`; the error of the codes is the
    mean square. An image with a set of labels that none of the training images has is given the code of the set that
    differs from it in the fewest labels.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        labels_weight: of the classification loss of CNNH+, above 0; None for CNNH. Over ready-made vectors without a
            hidden layer none is shared, and CNNH+ learns what CNNH does.
        passes: over the values of the codes, at least 1.
        seed: of the factorisation.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "cnnh"
    sets: Tensor
    codes: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        labels_weight: float | None = None,
        passes: int = 10,
        seed: int = 0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if labels_weight is not None and not 0 < labels_weight < math.inf:
            raise ValueError(f"labels_weight must be null or above 0, got {labels_weight}")
        if passes < 1:
            raise ValueError(f"passes must be at least 1, got {passes}")
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.method = "cnnh" if labels_weight is None else "cnnh_plus"  # type: ignore[misc]  # one class, two methods
        self.labels_layer = None if labels_weight is None else nn.Linear(head.linear.in_features, classes)
        self.labels_weight = labels_weight
        self.passes = passes
        self.seed = seed
        self.register_buffer("sets", torch.empty(0), persistent=False)
        self.register_buffer("codes", torch.empty(0), persistent=False)
        self._factorise(np.eye(classes, dtype=bool), np.ones(classes, np.int64))

    def meet(self, rows: Tensor, labels: Tensor) -> None:
        """Factorise the similarities of the training images."""
        if labels.ndim == 1:
            sets: NDArray[Any] = self.sets.cpu().numpy()
            counts = np.bincount(labels.numpy(), minlength=len(sets)).clip(min=1)
        else:
            sets, counts = np.unique(labels.numpy(), axis=0, return_counts=True)
        self._factorise(sets, counts)

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The mean squared error of the codes, and of CNNH+ the weighted classification loss."""
        terms = {"code": (wide(output.embedding) - self.targets(labels)).square().mean()}
        if self.labels_layer is not None and self.labels_weight is not None:
            scores = self.labels_layer(self.encoder.head.units(output.features))
            terms["labels"] = self.labels_weight * classification_loss(scores, labels)
        return terms

    def targets(self, labels: Tensor) -> Tensor:
        """The code of each image, (N, B) of −1 and 1."""
        if labels.ndim == 1:
            return self.codes[labels]
        own, sets = labels.float(), self.sets.float()
        with torch.autocast(own.device.type, enabled=False):
            different = own.sum(dim=1)[:, None] + sets.sum(dim=1) - 2 * own @ sets.T
        return self.codes[different.argmin(dim=1)]

    def _factorise(self, sets: NDArray[np.bool_], counts: NDArray[np.int64]) -> None:
        device, bits = self.sets.device, self.encoder.head.dimension
        self.sets = torch.from_numpy(sets).to(device)
        codes = similarity_codes(sets, counts, bits=bits, seed=self.seed, passes=self.passes)
        self.codes = torch.from_numpy(codes).to(device)

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
