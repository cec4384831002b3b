"""BiHalf: codes of largest bit entropy that keep cosines of features (Li and van Gemert, AAAI 2021); no labels.

The embedding u is what a fully connected layer gives. In training each bit is 1 for the larger half of a batch; cosines
of these codes follow those of the features, and a pull of u to them brings the threshold of a bit to 0. The code is the
sign of u.
"""

import math

from torch import Tensor

from dqh.losses.feature_similarity import feature_similarity_loss
from dqh.losses.half_sign import half_sign
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class BiHalf(HashModule):
    """The bi-half network.

    Departures: all pairs of a batch are compared; features of `backbone=identity` have mean 0, those of the authors are
    behind a ReLU.

    Args:
        backbone: images → features; the loss sends it no gradient by the features it compares with.
        classes: not used; no labels are read.
        bits: B, length of a code.
        optimizer: how the weights move.
        gamma: γ, how much codes pull the embedding, at least 0; 6 in the authors' code for CIFAR-10.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "bihalf"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        gamma: float = 6.0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be at least 0, got {gamma}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.gamma = gamma

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Squared differences of cosines of codes and features, over all pairs of the batch."""
        codes = half_sign(self.together(output.embedding), gamma=self.gamma)
        return {"similarity": feature_similarity_loss(codes, self.together(output.features))}

    def quantizer(self) -> Threshold:
        """The sign of u, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
