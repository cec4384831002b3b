"""DSH: deep supervised hashing, similar images near and dissimilar ones far (Liu, Wang, Shan and Chen, CVPR 2016).

The embedding u is what a fully connected layer gives. Similar images are pulled together by ½|u − v|², dissimilar ones
pushed apart by ½ max(m − |u − v|², 0), and α·‖ |u| − 1 ‖₁ keeps every u near its signs. The code is those.
"""

import math

from torch import Tensor

from dqh.losses import absolute_sign_penalty, contrastive_loss
from dqh.losses.pairs import within
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DSH(HashModule):
    """Deep supervised hashing.

    Departures: a mean over the pairs of a batch and not a sum; an image and itself are no pair.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        margin: m, of squared distances, above 0; None for 2B, as in the paper: half of the bits of dissimilar images
            then differ.
        penalty: α, weight of the distance of either image of a pair from its signs, at least 0; 0.01 in the paper.
        balanced: whether similar pairs together weigh as much as dissimilar ones together, however rare they are; each
            pair weighs the same in the paper, by which little is learned of many classes.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "dsh"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        margin: float | None = None,
        penalty: float = 0.01,
        balanced: bool = True,
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
        self.margin = 2.0 * bits if margin is None else margin
        self.penalty = penalty
        self.balanced = balanced

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The contrastive loss of all pairs of the batch, also across processes; the penalty of both of a pair."""
        pairs = within(self.together(output.embedding), self.together(labels))
        bits = output.embedding.shape[1]
        return {
            "contrastive": contrastive_loss(pairs, margin=self.margin, balanced=self.balanced),
            "sign": 2 * bits * self.penalty * absolute_sign_penalty(output.embedding),
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
