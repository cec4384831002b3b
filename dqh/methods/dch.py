"""DCH: deep Cauchy hashing, for answers within a few bits (Cao, Long, Liu and Wang, CVPR 2018).

A tanh layer gives z. With d = B / 2 · (1 − cos(z, z')), in bits, a pair is similar with the probability γ / (γ + d): it
falls fastest at the smallest distances, so that similar images come within few bits of one another. The code is the
sign of z.
"""

import math

from torch import Tensor

from dqh.losses import cauchy_loss, cauchy_sign_penalty
from dqh.losses.pairs import within
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DCH(HashModule):
    """Deep Cauchy hashing.

    Departures: see `dqh.losses.cauchy`; as the weights of pairs have mean 1, and 2 in the paper, λ is half of its λ.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        scale: γ, bits, above 0; 20 in the authors' code.
        penalty: λ, weight of the Cauchy loss of the distance from the signs, at least 0.
        balanced: whether similar pairs together weigh as much as dissimilar ones together, as in the paper.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "dch"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        scale: float = 20.0,
        penalty: float = 0.05,
        balanced: bool = True,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be above 0, got {scale}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.scale = scale
        self.penalty = penalty
        self.balanced = balanced

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The Cauchy loss of all pairs of the batch, also across processes, and that of the distance from the signs."""
        pairs = within(self.together(output.embedding), self.together(labels))
        return {
            "cauchy": cauchy_loss(pairs, scale=self.scale, balanced=self.balanced),
            "sign": self.penalty * cauchy_sign_penalty(output.embedding, scale=self.scale),
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
