"""DFH: deep Fisher hashing (Li, Pei, Zha and van Gemert, BMVC 2019).

The embedding u is what a fully connected layer gives. The likelihood of pairs has a margin; and each u is pulled to a
code that the centre of its class has a part in. Centres follow the images of their class and keep apart, as in Fisher's
discriminant. A batch is compared with what the network last said of all training images. The code is the sign of u.
"""

import math

import torch
from torch import Tensor

from dqh.losses import fisher_centres, fisher_targets, pair_likelihood_loss
from dqh.losses.pairs import Pairs, within
from dqh.losses.precision import wide
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.bank import Bank
from dqh.training.module import HashModule, TrainingBatch
from dqh.training.optimizer import Optimizer


class DFH(HashModule):
    """Deep Fisher hashing.

    Departures: means and not sums; the centres take a few steps a batch, see `dqh.losses.fisher`.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        margin: m of ½⟨u, v⟩, at least 0; 3 in the authors' code.
        penalty: weight of the mean of (b − u)², b being the wanted code, at least 0; 0.5 in the authors' code.
        pull: μ, weight of the centre in the wanted code, at least 0; 0.1 in the authors' code.
        between: ν, weight of the distances between centres, at least 0; 1 in the authors' code.
        centre_sign: η, weight of their distance from their signs, at least 0; 1 in the authors' code.
        rounds: steps of the centres a batch, at least 1.
        balanced: whether similar pairs together weigh as much as dissimilar ones together, however rare they are; each
            pair weighs the same in the paper, by which little is learned of many classes.
        most_pairs: of images of a batch with others, at least 1, see `Bank`.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "dfh"
    centres: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        margin: float = 3.0,
        penalty: float = 0.5,
        pull: float = 0.1,
        between: float = 1.0,
        centre_sign: float = 1.0,
        rounds: int = 10,
        balanced: bool = True,
        most_pairs: int = 2**20,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        values = {"margin": margin, "penalty": penalty, "pull": pull, "between": between, "centre_sign": centre_sign}
        wrong = [f"{name} must be at least 0, got {v}" for name, v in values.items() if not 0 <= v < math.inf]
        if wrong:
            raise ValueError("; ".join(wrong))
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.bank = Bank(bits, most_pairs=most_pairs)
        self.register_buffer("centres", torch.zeros(classes, bits))
        self.margin = margin
        self.penalty = penalty
        self.pull = pull
        self.between = between
        self.centre_sign = centre_sign
        self.rounds = rounds
        self.balanced = balanced

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Both terms, of the pairs within the batch: there is no other image outside of a training."""
        embedding, labels = self.together(output.embedding), self.together(labels)
        return self._terms(within(embedding, labels), labels)

    def losses_of_step(self, output: EncoderOutput, batch: TrainingBatch) -> dict[str, Tensor]:
        """Both terms, of the batch with the bank."""
        embedding, labels, rows = map(self.together, (output.embedding, batch.labels, batch.rows))
        return self._terms(self.bank.pairs(embedding, labels, rows), labels)

    def _terms(self, pairs: Pairs, labels: Tensor) -> dict[str, Tensor]:
        """In a training step the centres move, too."""
        embedding = wide(pairs.first)
        targets = fisher_targets(embedding.to(self.centres.dtype), self.centres, labels, pull=self.pull)
        if self.learning:
            weights = {"between": self.between, "sign": self.centre_sign}
            self.centres.copy_(fisher_centres(self.centres, targets, labels, **weights, rounds=self.rounds))
        likelihood = pair_likelihood_loss(pairs, scale=0.5, margin=self.margin, balanced=self.balanced)
        return {"likelihood": likelihood, "centre": self.penalty * (targets - embedding).square().mean()}

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
