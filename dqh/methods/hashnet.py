"""HashNet: pairs of images and a sign approached by continuation (Cao, Long, Wang and Yu, ICCV 2017).

The embedding z is what a fully connected layer gives. The loss sees tanh(βz), with a β that rises during the training,
so that it comes ever closer to the sign of z. The code is that sign; β is no part of the artifact.
"""

import math

import torch
from torch import Tensor

from dqh.losses import pairwise_likelihood_loss
from dqh.losses.precision import wide
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class HashNet(HashModule):
    """HashNet.

    Departures: the paper trains in stages of constant β (Algorithm 1), the authors' code by β = √(1 + t / 200) at step
    t, renewed every 200 steps of 10,000; here β = √(1 + (b² − 1)·p) at the share p of the training, renewed at every
    step. A batch is compared with itself, where the authors draw two.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        scale: α of the likelihood, above 0; None for 10 / B, as in the authors' code.
        last_beta: b, the β that the training ends with, at least 1; √51, as in the authors' code.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "hashnet"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        scale: float | None = None,
        last_beta: float = math.sqrt(51),
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"scale must be null or above 0, got {scale}")
        if not 1 <= last_beta < math.inf:
            raise ValueError(f"last_beta must be at least 1, got {last_beta}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.scale = 10 / bits if scale is None else scale
        self.last_beta = last_beta

    @property
    def beta(self) -> float:
        """β, from 1 to `last_beta` over the training."""
        return math.sqrt(1 + (self.last_beta**2 - 1) * self.progress)

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The weighted likelihood of all pairs of the batch, also across processes."""
        relaxed = self.together(self._relaxed(output.embedding))
        return {"likelihood": pairwise_likelihood_loss(relaxed, self.together(labels), scale=self.scale)}

    def diagnostics(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """How far the relaxation is from the code: the mean of | |tanh(βz)| − 1 |."""
        return {"distance_to_sign": (1 - self._relaxed(output.embedding).abs()).mean()}

    def quantizer(self) -> Threshold:
        """The sign of z, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)

    def _relaxed(self, embedding: Tensor) -> Tensor:
        """tanh(βz), in float32 also under autocast."""
        return torch.tanh(self.beta * wide(embedding))
