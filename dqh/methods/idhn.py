"""IDHN: improved deep hashing with soft pairwise similarity (Zhang, Zou, Lin, Chen and Wang, IEEE TMM 2020).

For images with several labels: two of them are similar by the cosine between their label vectors. Pairs with equal
labels, or none in common, go by their likelihood; those between should agree in as many bits as their cosine says. A
batch is compared with what the network last said of all training images. The code is the sign of a tanh layer.
"""

import math

from torch import Tensor

from dqh.losses import absolute_sign_penalty, soft_similarity_loss
from dqh.losses.pairs import Pairs, within
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.bank import Bank
from dqh.training.module import HashModule, TrainingBatch
from dqh.training.optimizer import Optimizer


class IDHN(HashModule):
    """Improved deep hashing with soft pairwise similarity.

    With one label an image no pair is between: the likelihood of pairs alone is left. Departures: means and not sums,
    and see `dqh.losses.soft_similarity`.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        scale: α of the likelihood, above 0; ½ in the authors' code.
        soft_weight: γ, weight of pairs that share some labels, at least 0.
        penalty: λ, weight of the mean of | |u| − 1 |, at least 0; 0.1 in the authors' code.
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

    method = "idhn"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        scale: float = 0.5,
        soft_weight: float = 0.1,
        penalty: float = 0.1,
        balanced: bool = True,
        most_pairs: int = 2**20,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be above 0, got {scale}")
        if not 0 <= soft_weight < math.inf:
            raise ValueError(f"soft_weight must be at least 0, got {soft_weight}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.bank = Bank(bits, most_pairs=most_pairs)
        self.scale = scale
        self.soft_weight = soft_weight
        self.penalty = penalty
        self.balanced = balanced

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Both terms, of the pairs within the batch: there is no other image outside of a training."""
        embedding = self.together(output.embedding)
        return self._terms(within(embedding, self.together(labels)), output.embedding)

    def losses_of_step(self, output: EncoderOutput, batch: TrainingBatch) -> dict[str, Tensor]:
        """Both terms, of the batch with the bank."""
        embedding, labels, rows = map(self.together, (output.embedding, batch.labels, batch.rows))
        return self._terms(self.bank.pairs(embedding, labels, rows), output.embedding)

    def _terms(self, pairs: Pairs, embedding: Tensor) -> dict[str, Tensor]:
        weights = {"scale": self.scale, "soft_weight": self.soft_weight}
        similarity = soft_similarity_loss(pairs, **weights, balanced=self.balanced)
        return {"similarity": similarity, "sign": self.penalty * absolute_sign_penalty(embedding)}

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
