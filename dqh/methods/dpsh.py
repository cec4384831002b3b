"""DPSH: deep pairwise-supervised hashing (Li, Wang and Kang, IJCAI 2016).

The embedding u is what a fully connected layer gives. A pair is similar with the probability σ(½⟨u, v⟩), and a penalty
keeps u near its signs. A batch is compared with what the network last said of all training images. The code is the
sign of u.
"""

import math

from torch import Tensor

from dqh.losses import pair_likelihood_loss, squared_sign_penalty
from dqh.losses.pairs import Pairs, within
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.bank import Bank
from dqh.training.module import HashModule, TrainingBatch
from dqh.training.optimizer import Optimizer


class DPSH(HashModule):
    """Deep pairwise-supervised hashing.

    Departures: means over pairs and values and not sums. The sum over n training images of the paper, with its weight η
    of ‖sgn(u) − u‖², is this with the penalty η·B / n: .1 for the η = 10, n = 5,000 and 48 bits of CIFAR-10.

    Args:
        backbone: images → features.
        classes: not used; similarity comes from the labels.
        bits: B, length of a code.
        optimizer: how the weights move.
        penalty: weight of the mean of (|u| − 1)², at least 0.
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

    method = "dpsh"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        penalty: float = 0.1,
        balanced: bool = True,
        most_pairs: int = 2**20,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.bank = Bank(bits, most_pairs=most_pairs)
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
        likelihood = pair_likelihood_loss(pairs, scale=0.5, balanced=self.balanced)
        return {"likelihood": likelihood, "sign": self.penalty * squared_sign_penalty(embedding)}

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
