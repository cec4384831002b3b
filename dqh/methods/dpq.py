"""DPQ: supervised product quantization, end to end (Klein and Wolf, CVPR 2019).

The embedding z is what a tanh layer gives. In each subspace an image is a softmax over codewords by their distance:
their mean is its soft form, the nearest one its hard form, which the gradient passes as if it were soft. One classifier
sees both, and both are drawn to the centre of the class. The code is the nearest codeword of each subspace.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.losses import classification_loss
from dqh.losses.soft_codewords import central_loss, gini_of_batch, gini_of_images
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import ProductQuantizer
from dqh.training.learned_codebooks import LearnedCodebooks
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DPQ(HashModule):
    """Deep product quantization.

    Departures: assignments come from distances to the codewords, not from a layer of their own, so that the nearest
    word of z is the code and any product quantizer searches it; queries are z, not their soft form; codebooks begin
    with k-means; the centre of a class is the weight vector that the classifier has for it. The weights of the last
    three terms are ours.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B = M · log2 K, length of a code.
        optimizer: how the weights move.
        codewords: K of a subspace, a power of two; 256 in the paper.
        dimension: D, units of the bottleneck, a multiple of M.
        sharpness: what −‖z − c‖² is multiplied by in the softmax, above 0.
        central: weight of the joint central loss, at least 0.
        gini: weight of both Gini terms, at least 0.
        dropout: share of the features zeroed before the bottleneck, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer.

    Raises:
        ValueError: a value outside its range, or bits, codewords and dimension that do not fit together.
    """

    method = "dpq"
    kind = ProductQuantizer.kind
    one_embedding = True
    refit_every = 0

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        codewords: int = 256,
        dimension: int = 288,
        sharpness: float = 1.0,
        central: float = 0.01,
        gini: float = 0.1,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}; a classifier needs something to tell apart")
        if not 0 < sharpness < math.inf or not 0 <= central < math.inf or not 0 <= gini < math.inf:
            raise ValueError(
                f"sharpness must be above 0, central and gini at least 0, got {sharpness}, {central} and {gini}"
            )
        codebooks = LearnedCodebooks(bits=bits, codewords=codewords, dimension=dimension, follows_gradient=True)
        head = HashHead(backbone.dimension, dimension, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=nn.Linear(dimension, classes), optimizer=optimizer)
        self.codebooks = codebooks
        self.least_images = codewords
        self.sharpness = sharpness
        self.central = central
        self.gini = gini

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of both forms, their distance from the centre of the class, and both Gini terms."""
        assert self.classifier is not None
        shares = (-self.sharpness * self.codebooks.distances(output.embedding)).softmax(2)
        soft = self.codebooks.mixed(shares)
        hard = soft + (self.codebooks.nearest(output.embedding) - soft).detach()
        targets = (labels[:, None] == torch.arange(self.classifier.out_features, device=labels.device)).float()
        if labels.ndim == 2:
            targets = labels.float() / labels.sum(1, keepdim=True).clamp(min=1)
        return {
            "soft": classification_loss(self.classifier(soft), labels),
            "hard": classification_loss(self.classifier(hard), labels),
            "central": self.central * central_loss(soft, hard, targets @ self.classifier.weight),
            "gini": self.gini * (gini_of_batch(self.together(shares)) - gini_of_images(shares)),
        }

    def fit_quantizer(self, embedding: NDArray[np.float32], *, seed: int) -> None:
        """K-means a subspace, before the training alone."""
        self.codebooks.fit(embedding, seed=seed)

    @property
    def bits(self) -> int:
        """M · log2 K."""
        return self.codebooks.bits

    def quantizer(self) -> ProductQuantizer:
        """The codebooks as they are; `NotFittedError` before they were fitted."""
        return self.codebooks.quantizer("l2")

    def quantizer_of(self, bits: int, embedding: NDArray[np.float32], *, seed: int) -> ProductQuantizer:
        """Codebooks of another M, by k-means; `ValueError` where bits, codewords and dimension do not fit together."""
        return self.codebooks.fit_others(bits, embedding, seed=seed).quantizer("l2")
