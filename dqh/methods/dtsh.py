"""DTSH: deep supervised hashing with triplet labels (Wang, Shi and Kitani, ACCV 2016).

The embedding u is what a fully connected layer gives. Of an image, a similar and a dissimilar one, ½⟨u, u⁺⟩ should
exceed ½⟨u, u⁻⟩ by a margin, and a penalty keeps u near its signs, which are the code.
"""

import math

from torch import Tensor

from dqh.losses import squared_sign_penalty, triplet_likelihood_loss
from dqh.losses.pairs import within
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DTSH(HashModule):
    """Deep supervised hashing with triplet labels.

    Departures: means over triplets and values and not sums; at most `dqh.losses.likelihood.TRIPLETS` triplets a batch.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        margin: of ½⟨u, u⁺⟩ over ½⟨u, u⁻⟩, above 0; None for B / 2, as in the paper.
        penalty: weight of the mean of (|u| − 1)², at least 0; the λ = 1 of the paper is of a sum.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "dtsh"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        margin: float | None = None,
        penalty: float = 1.0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if margin is not None and not 0 < margin < math.inf:
            raise ValueError(f"margin must be null or above 0, got {margin}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.margin = bits / 2 if margin is None else margin
        self.penalty = penalty

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The likelihood of the triplets of the batch, also across processes, and the weighted penalty."""
        pairs = within(self.together(output.embedding), self.together(labels))
        return {
            "triplets": triplet_likelihood_loss(pairs, scale=0.5, margin=self.margin),
            "sign": self.penalty * squared_sign_penalty(output.embedding),
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
