"""The ordinary classification network: what a latent-binary network is without its latent layer.

Its code is the class with the highest score. It is here to be compared with: `without_h=softmax` trains it beside any
other method, as the default does where that takes a few minutes.
"""

import math
import re
from dataclasses import replace

from torch import Tensor, nn

from dqh.losses import classification_loss
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import ClassIndex
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class Softmax(HashModule):
    """A linear classifier on the features; the embedding are its class scores.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        optimizer: how the weights move; what its `lr_multipliers` say of a `classifier` is meant for the head. Its
            `classifier_weight_decay` has no part: it is for the sake of codes, which there are none.
        dropout: share of the features zeroed before the classifier, 0 … 1.
        classifier_std: standard deviation of the classifier's initial weights; None for torch's default layer.
        label_smoothing: share of the target spread over all classes, 0 … 1.

    Raises:
        ValueError: fewer than two classes, or another value outside its range.
    """

    method = "softmax"
    kind = ClassIndex.kind

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        optimizer: Optimizer,
        dropout: float = 0.0,
        classifier_std: float | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}; a classifier needs something to tell apart")
        if classifier_std is not None and not 0 <= classifier_std < math.inf:
            raise ValueError(f"classifier_std must be null or at least 0, got {classifier_std}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in 0 … 1, 1 excluded, got {label_smoothing}")
        head = HashHead(backbone.dimension, classes, activation="none", dropout=dropout)
        if classifier_std is not None:
            nn.init.normal_(head.linear.weight, std=classifier_std)
            nn.init.zeros_(head.linear.bias)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=_with_rates_of_the_head(optimizer))
        self.label_smoothing = label_smoothing

    def scores(self, embedding: Tensor) -> Tensor:
        """The embedding itself."""
        return embedding

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy: softmax for single labels (N,), a sigmoid a class for multi-labels (N, C)."""
        return {"cross_entropy": classification_loss(output.embedding, labels, label_smoothing=self.label_smoothing)}

    def quantizer(self) -> ClassIndex:
        """The class with the highest score."""
        return ClassIndex(self.encoder.head.dimension)


def _with_rates_of_the_head(optimizer: Optimizer) -> Optimizer:
    """The optimizer with `encoder.head.linear` for `classifier`, as other methods call this layer."""
    multipliers = {
        re.sub(r"^classifier\b", "encoder.head.linear", prefix): factor
        for prefix, factor in optimizer.lr_multipliers.items()
    }
    return replace(optimizer, lr_multipliers=multipliers)
