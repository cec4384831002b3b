"""The backbone of ready-made features: it moves and scales them as a whole, and leaves their ranking by L2 alone."""

import torch
from torch import Tensor

from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone


class Identity(Backbone):
    """No network: the input vectors are the features, but for one shift and one factor.

    They bring the training vectors to mean 0 and root mean square 1, so that the same optimizer suits every encoder:
    vectors of unit length have values of some hundredths, others of ten. Before `initialise`, vectors stay as they are.

    Args:
        size: F, length of a vector.

    Raises:
        ValueError: `size` is below 1.
    """

    name = "identity"
    taps = ("input",)
    architecture = ()
    centre: Tensor
    scale: Tensor

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.spec = InputSpec(size=size, resize=size, kind="vector")
        self.dimension = size
        self.arguments = {}
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(()))

    def initialise(self, images: Tensor) -> None:
        """Set shift and factor.

        Args:
            images: (N, F) training vectors; where all are equal, the factor stays 1.
        """
        mean = images.double().mean(0)
        spread = (images.double() - mean).square().mean().sqrt()
        self.centre.copy_(mean)
        self.scale.copy_(1 / spread if spread > 0 else torch.ones(()))

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, F) to the same, moved and scaled."""
        return (vectors - self.centre) * self.scale
