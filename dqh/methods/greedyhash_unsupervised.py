"""GreedyHash without labels: cosines of signs follow those of features (Su, Zhang, Han and Tian, NeurIPS 2018).

The embedding h is what a fully connected layer gives. The loss sees the sign of h, its gradient reaches h as if it saw
h itself, and a penalty keeps h near its sign. The code is that sign.
"""

import math

from torch import Tensor

from dqh.losses import cubic_sign_penalty, straight_through_sign
from dqh.losses.feature_similarity import feature_similarity_loss
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class UnsupervisedGreedyHash(HashModule):
    """GreedyHash without labels.

    Departures: all pairs of a batch are compared; features of `backbone=identity` have mean 0, those of the authors are
    behind a ReLU.

    Args:
        backbone: images → features.
        classes: not used; no labels are read.
        bits: B, length of a code.
        optimizer: how the weights move.
        penalty: α, weight of the distance from the signs, at least 0; 0.1 in the authors' code.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "greedyhash_unsupervised"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        penalty: float = 0.1,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.penalty = penalty

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Squared differences of cosines of signs and features, over all pairs of the batch; the penalty."""
        codes = straight_through_sign(self.together(output.embedding))
        return {
            "similarity": feature_similarity_loss(codes, self.together(output.features)),
            "sign": self.penalty * cubic_sign_penalty(output.embedding),
        }

    def quantizer(self) -> Threshold:
        """The sign of h, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
