"""DPN: the deep polarized network (Fan, Ng, Ju, Zhang and Chan, IJCAI 2020).

Every class has a code before the training. Each value of the embedding u, what a fully connected layer gives, should
lie on the side of its bit by a margin: max(m − u·t, 0). The code is the sign of u.
"""

import math

import torch
from torch import Tensor

from dqh.losses import centre_classifier, centre_targets, polarization_loss
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DPN(HashModule):
    """The deep polarized network, with fixed codes of the classes.

    Departures: `hash_centres` chooses the codes, the authors draw every bit; a mean over the bits and not a sum. The
    codes are the weights of a classifier that does not train. That the codes follow the images, as in the paper's
    DPN-A, is not here: see `crh`.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        margin: m, above 0; 1 in the paper.
        seed: of the codes of the classes, and of the code that settles split votes of several labels.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range, or more classes than `bits` bits can tell apart.
    """

    method = "dpn"
    ties: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        margin: float = 1.0,
        seed: int = 0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        classifier = centre_classifier(classes, bits, seed=seed)
        if not 0 < margin < math.inf:
            raise ValueError(f"margin must be above 0, got {margin}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=classifier, optimizer=optimizer)
        self.margin = margin
        drawn = torch.randint(2, (bits,), generator=torch.Generator().manual_seed(seed), device="cpu")
        self.register_buffer("ties", (drawn * 2.0 - 1).to(classifier.weight.device))

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """How far the embeddings are from the right sides of their bits."""
        assert self.classifier is not None
        targets = centre_targets(labels, self.classifier.weight, ties=self.ties)
        return {"polarization": polarization_loss(output.embedding, targets, margin=self.margin)}

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
