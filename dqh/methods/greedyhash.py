"""GreedyHash: a classifier on the signs, trained straight through them (Su, Zhang, Han and Tian, NeurIPS 2018).

The embedding h is what a fully connected layer gives. The classifier sees the sign of h, its gradient reaches h as if
it saw h itself, and a penalty keeps h near its sign. The code is that sign.
"""

import math

from torch import Tensor, nn

from dqh.losses import classification_loss, cubic_sign_penalty, straight_through_sign
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class GreedyHash(HashModule):
    """GreedyHash.

    The accuracy that is reported, and the row `class_index`, apply the classifier to h, as for every method, although
    it is trained on the signs of h. Departure: the classifier has a bias.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        penalty: α, weight of the distance from the signs, at least 0; 0.1 in the authors' code for CIFAR-10 and 1 for
            ImageNet.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: fewer than two classes, or another value outside its range.
    """

    method = "greedyhash"

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
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}; a classifier needs something to tell apart")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=nn.Linear(bits, classes), optimizer=optimizer)
        self.penalty = penalty

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the signs, softmax for single labels and a sigmoid a class for multi-labels; the penalty."""
        assert self.classifier is not None
        scores = self.classifier(straight_through_sign(output.embedding))
        return {
            "cross_entropy": classification_loss(scores, labels),
            "sign": self.penalty * cubic_sign_penalty(output.embedding),
        }

    def quantizer(self) -> Threshold:
        """The sign of h, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
