"""CroVCA: cross-view code alignment with a coding rate (Moummad, Zaher, Goëau and Joly, CVPRW 2026); no labels.

Each view of an image is to have the code of its other view, by binary cross-entropy; the coding rate of the batch keeps
codes from falling together. A batch norm without scale and shift balances the bits. The code is the sign of the
embedding.
"""

import math

import torch
from torch import Tensor

from dqh.losses.views import code_alignment_loss, coding_rate
from dqh.models import Backbone, Encoder, HashHead
from dqh.quantizers import Threshold
from dqh.training.bias_norm import normalised
from dqh.training.optimizer import Optimizer
from dqh.training.two_views import TwoViews


class CroVCA(TwoViews):
    """Cross-view code alignment.

    From its formula; the authors' code was not read. Departures: views as `TwoViews` makes them; one hidden layer at
    most, where the paper's head has three layers (2,048 and 256 units); the batch norm has no scale and shift, and its
    mean becomes the bias, see `normalised`; the coding rate is divided by B, as the cross-entropy is a mean over bits:
    undivided it outweighs that, and 32 bits of the handwritten digits fall from mAP .75 to .41.

    Args:
        backbone: images → features.
        classes: not used; no labels are read.
        bits: B, length of a code.
        optimizer: how the weights move.
        rate: λ, weight of the coding rate a bit, at least 0; 0.1 in the paper.
        precision: ε of the coding rate, above 0; 0.05 in the paper.
        dropout: share of the features zeroed before the last layer, 0 … 1: what makes two views differ.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer.

    Raises:
        ValueError: a value outside its range.
    """

    method = "crovca"
    variance: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        rate: float = 0.1,
        precision: float = 0.05,
        dropout: float = 0.2,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 <= rate < math.inf or not 0 < precision < math.inf:
            raise ValueError(f"rate must be at least 0, precision above 0, got {rate} and {precision}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        head.linear.bias.requires_grad_(False).zero_()
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.rate = rate
        self.precision = precision
        self.register_buffer("variance", torch.ones(bits))

    def view_losses(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Binary cross-entropy of each view to the code of the other, less the coding rate of both, a bit."""
        linear, training = self.encoder.head.linear, self.training
        both = normalised(torch.cat([first, second]), linear=linear, variance=self.variance, training=training)
        return {
            "alignment": code_alignment_loss(*both.chunk(2)),
            "rate": -self.rate * coding_rate(both, precision=self.precision) / both.shape[1],
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
