"""The backbone of ready-made features: it moves and scales them as a whole, and leaves their ranking by L2 alone."""

import logging

import torch
from torch import Tensor

from dqh.errors import DataError
from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone
from dqh.outliers import FAR, MOST_FAR, find_far

logger = logging.getLogger(__name__)

UNFIT = 100.0
"""Root mean square, in that of the others, from which one vector alone would decide a training."""


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

        Vectors that `find_far` finds are left out, and told of: one of 65,504 among 1,200 float16 embeddings would else
        flatten all others. Where lengths vary so much that many more could be meant, all have part, which is told too.

        Args:
            images: (N, F) training vectors; where all are equal, the factor stays 1.

        Raises:
            DataError: the vectors differ by so little that no float32 factor brings them to 1.
        """
        vectors = images.double()
        rows, uneven = find_far(images.cpu().numpy())
        far = torch.from_numpy(rows).to(images.device)
        if bool(far.any()):
            logger.warning(
                "%d of %d vectors are more than %.0f times as far from the middle as nearly all others are; they have "
                "no part in shift and scale",
                *(int(far.sum()), len(far), FAR),
            )
            vectors = vectors[~far]
        if uneven > MOST_FAR * len(far):
            logger.warning(
                "%d of %d vectors are more than %.0f times as far from the middle as half of the others are: too many "
                "for outliers, so that shift and scale are those of all; should lengths mean nothing, divide each "
                "vector by its own",
                *(uneven, len(far), FAR),
            )
        mean = vectors.mean(0)
        spread = (vectors - mean).square().mean().sqrt()
        factor = 1 / spread if spread > 0 else torch.ones(())
        if factor > torch.finfo(torch.float32).max:
            raise DataError(
                f"the vectors differ by {float(spread):.2g} (root mean square), too little for float32; multiply them"
            )
        self.centre.copy_(mean)
        self.scale.copy_(factor)

    def unfit(self, images: Tensor) -> Tensor:
        """(N,) bool: vectors whose root mean square, moved and scaled, is above `UNFIT`."""
        return self.forward(images).double().square().mean(1).sqrt() > UNFIT

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, F) to the same, moved and scaled."""
        return (vectors - self.centre) * self.scale
