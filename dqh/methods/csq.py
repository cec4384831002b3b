"""CSQ: central similarity quantization (Yuan, Wang, Zhang, Tay, Jie, Liu and Feng, CVPR 2020).

Every class has a code before the training, its hash centre, far from those of the others; images with several labels
get a majority of centres. The network learns to give each image its centre. The code is the sign of a tanh layer.
"""

import math

import torch
from torch import Tensor

from dqh.losses import central_similarity_loss, centre_classifier, centre_targets, log_cosh_sign_penalty
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class CSQ(HashModule):
    """Central similarity quantization.

    The centres are the weights of a classifier that does not train, so the class it names is the one whose centre has
    the largest inner product with the embedding. Departure: the centres are chosen as `dqh.losses.hash_centres` says.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        quantization: λ, weight of the distance from the signs, at least 0; 1e-4 … 1e-3 in the authors' code for
            AlexNet, 0.05 for ResNet-50.
        seed: of the centres, and of the code that settles split votes.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range, or more classes than `bits` bits can tell apart.
    """

    method = "csq"
    ties: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        quantization: float = 1e-3,
        seed: int = 0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        classifier = centre_classifier(classes, bits, seed=seed)
        if not 0 <= quantization < math.inf:
            raise ValueError(f"quantization must be at least 0, got {quantization}")
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=classifier, optimizer=optimizer)
        self.quantization = quantization
        drawn = torch.randint(2, (bits,), generator=torch.Generator().manual_seed(seed), device="cpu")
        self.register_buffer("ties", (drawn * 2.0 - 1).to(classifier.weight.device))

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy to the centres, and the weighted distance from the signs."""
        assert self.classifier is not None
        targets = centre_targets(labels, self.classifier.weight, ties=self.ties)
        return {
            "centre": central_similarity_loss(output.embedding, targets),
            "quantization": self.quantization * log_cosh_sign_penalty(output.embedding),
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
