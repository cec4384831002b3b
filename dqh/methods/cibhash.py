"""CIBHash: contrastive hashing with an information bottleneck (Qiu, Su, Ou, Yu and Chen, IJCAI 2021); no labels.

The embedding u is what a fully connected layer gives; bit b of a view is drawn to be 1 with probability σ(u_b). Codes
of two views of an image are to be nearer than those of different images, and know little beyond what both views share.
"""

import math

import torch
from torch import Tensor

from dqh.losses import straight_through_sign
from dqh.losses.views import bernoulli_divergence, nt_xent_loss
from dqh.models import Backbone, Encoder, HashHead
from dqh.quantizers import Threshold
from dqh.training.optimizer import Optimizer
from dqh.training.two_views import TwoViews


class CIBHash(TwoViews):
    """Contrastive hashing with an information bottleneck.

    Departures: views as `TwoViews` makes them; the gradient of a drawn bit is that of 2σ(u) − 1, its mean; the hidden
    layer of the authors' head is an option.

    Args:
        backbone: images → features.
        classes: not used; no labels are read.
        bits: B, length of a code.
        optimizer: how the weights move.
        temperature: τ, above 0; 0.3 in the authors' code.
        bottleneck: β, weight of the divergence of the two views, at least 0; 0.001 in the authors' code.
        dropout: share of the features zeroed before the last layer, 0 … 1: what makes two views differ.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer.

    Raises:
        ValueError: a value outside its range.
    """

    method = "cibhash"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        temperature: float = 0.3,
        bottleneck: float = 1e-3,
        dropout: float = 0.2,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 < temperature < math.inf or not 0 <= bottleneck < math.inf:
            raise ValueError(f"temperature must be above 0, bottleneck at least 0, got {temperature} and {bottleneck}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.temperature = temperature
        self.bottleneck = bottleneck

    def view_losses(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """NT-Xent of the drawn codes, and the divergence of what they are drawn from."""
        codes = self._drawn(first), self._drawn(second)
        return {
            "contrast": nt_xent_loss(*codes, temperature=self.temperature),
            "bottleneck": self.bottleneck * bernoulli_divergence(first, second),
        }

    def quantizer(self) -> Threshold:
        """The likelier value of each bit, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)

    def _drawn(self, embedding: Tensor) -> Tensor:
        """(N, B) −1 or 1, of probabilities σ(u) in training and at ½ else; the gradient is that of 2σ(u) − 1."""
        share = torch.sigmoid(embedding.to(torch.promote_types(embedding.dtype, torch.float32)))
        threshold = torch.rand_like(share) if self.learning else torch.full_like(share, 0.5)
        signs = straight_through_sign(share - threshold)  # its gradient is 1, the slope of 2σ − 1 is twice that of σ
        return signs + (share - share.detach())
