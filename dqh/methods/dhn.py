"""DHN: the deep hashing network (Zhu, Long, Wang and Cao, AAAI 2016).

A tanh layer gives z. A pair is similar with the probability σ(α⟨z, z'⟩), and a smooth form of | |z| − 1 | keeps z near
its signs, which are the code.
"""

import math

from torch import Tensor

from dqh.losses import log_cosh_sign_penalty, pair_likelihood_loss
from dqh.losses.pairs import within
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DHN(HashModule):
    """The deep hashing network.

    Departures: means over pairs and values and not sums; an image and itself are no pair.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        scale: α, above 0; None for 10 / B, as in the authors' code of their later HashNet; 1 in the paper.
        penalty: λ, weight of the mean of log cosh(|z| − 1), at least 0; cross-validated in the paper.
        balanced: whether similar pairs together weigh as much as dissimilar ones together, however rare they are; each
            pair weighs the same in the paper, by which little is learned of many classes.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "dhn"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        scale: float | None = None,
        penalty: float = 0.1,
        balanced: bool = True,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"scale must be null or above 0, got {scale}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.scale = 10 / bits if scale is None else scale
        self.penalty = penalty
        self.balanced = balanced

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The likelihood of all pairs of the batch, also across processes, and the weighted penalty."""
        pairs = within(self.together(output.embedding), self.together(labels))
        return {
            "likelihood": pair_likelihood_loss(pairs, scale=self.scale, balanced=self.balanced),
            "sign": self.penalty * log_cosh_sign_penalty(output.embedding),
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
