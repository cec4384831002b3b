"""OrthoHash: one loss, the cosine to a fixed code of the class (Hoe, Ng, Zhang, Chan, Song and Xiang, NeurIPS 2021).

Every class has a code before the training; the codes are orthogonal, or nearly so. A batch norm balances the bits, and
a softmax over the scaled cosines to all codes, with a margin, does the rest. The code of an image is the sign of the
normalised embedding.
"""

import math

import torch
from torch import Tensor

from dqh.losses import centre_classifier, margin_cosine_loss
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.bias_norm import normalised
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class OrthoHash(HashModule):
    """OrthoHash.

    A batch norm does not feel the bias of the layer before it. So the running mean is kept there, as −bias, and the
    sign of the embedding is the sign of the normalised one: the artifact needs no batch norm. Departure: the batch norm
    has no scale and shift of its own, which no bias could hold and which would undo the balance. Its running variance
    stays behind: the class that the classifier, of the codes of the classes, names is the one with the largest inner
    product with the embedding before it is divided by its standard deviation. Departure: `hash_centres` chooses the
    codes of the classes, the authors draw every bit or search for codes that are far apart.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        scale: s, what cosines are multiplied by, above 0; 8 in the authors' code.
        margin: m, what is taken off the cosine of the right class, at least 0; 0.2 in the authors' code, and 0.3 for
            its published CIFAR-10 value.
        seed: of the codes of the classes.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range, or more classes than `bits` bits can tell apart.
    """

    method = "orthohash"
    variance: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        scale: float = 8.0,
        margin: float = 0.2,
        seed: int = 0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        classifier = centre_classifier(classes, bits, seed=seed)
        if not 0 < scale < math.inf or not 0 <= margin < math.inf:
            raise ValueError(f"scale must be above 0 and margin at least 0, got {scale} and {margin}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        head.linear.bias.requires_grad_(False).zero_()
        super().__init__(Encoder(backbone, head), classifier=classifier, optimizer=optimizer)
        self.scale = scale
        self.margin = margin
        self.register_buffer("variance", torch.ones(bits))

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Softmax cross-entropy over the cosines; in training it also moves the running mean and variance."""
        assert self.classifier is not None
        embedding, labels = self.together(output.embedding.to(self.variance.dtype)), self.together(labels)
        linear, training = self.encoder.head.linear, self.training
        embedding = normalised(embedding, linear=linear, variance=self.variance, training=training)
        terms = {"scale": self.scale, "margin": self.margin}
        return {"cosine": margin_cosine_loss(embedding, labels, centres=self.classifier.weight, **terms)}

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
