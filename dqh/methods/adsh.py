"""ADSH: asymmetric deep supervised hashing (Jiang and Li, AAAI 2018).

Training images have codes V that are learned as such, and a network learns the u of queries, a tanh layer, by which
⟨u, v⟩ / B is their similarity. In turns the network follows V, and after each epoch V follows the network, bit by bit.
V is of the training alone: the artifact encodes a database by the network, as of every method, by the sign of u.
"""

import math

import torch
from torch import Tensor

from dqh.losses import asymmetric_loss, database_codes
from dqh.losses.pairs import Pairs, within
from dqh.losses.precision import wide
from dqh.losses.similarity import NegativeTarget
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.bank import Bank
from dqh.training.module import HashModule, TrainingBatch
from dqh.training.optimizer import Optimizer


class ADSH(HashModule):
    """Asymmetric deep supervised hashing.

    Departures: the paper draws m images, trains on them three times, and changes V; here an epoch shows all training
    images, and the embeddings of m of them, as they were last seen, change V. An image has the signs of its first
    embedding until then, where the authors begin with codes of 0. Everything is divided by the number of pairs and B².

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        weight: γ of |v − u|² for the images that are queries and have a code too, at least 0; 200 in the paper.
        negative_target: similarity wanted of a pair that shares no label, −1 … 1, 1 excluded; −1 in the paper;
            `balanced` for −1 / (C − 1), which is that of the authors' code where classes are equally frequent.
        queries: m, images by which V changes after an epoch, at least 1; 2,000 in the paper.
        most_pairs: of images of a batch with others, at least 1, see `Bank`.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range.
    """

    method = "adsh"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        weight: float = 200.0,
        negative_target: NegativeTarget = "balanced",
        queries: int = 2000,
        most_pairs: int = 2**20,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0, got {weight}")
        if queries < 1:
            raise ValueError(f"queries must be at least 1, got {queries}")
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}")
        if negative_target != "balanced" and not -1 <= negative_target < 1:
            raise ValueError(f"negative_target must be balanced or in −1 … 1, 1 excluded, got {negative_target}")
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.bank = Bank(bits, most_pairs=most_pairs)
        self.codes = Bank(bits, most_pairs=most_pairs)
        self.weight = weight
        self.negative_target = -1 / (classes - 1) if negative_target == "balanced" else float(negative_target)
        self.queries = queries

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Both terms, with the signs of the batch itself as its codes: there are no others outside of a training."""
        embedding = wide(self.together(output.embedding))
        pairs = within(embedding, self.together(labels))._replace(second=_signs(embedding))
        return self._terms(pairs, pairs.second, images=len(embedding))

    def losses_of_step(self, output: EncoderOutput, batch: TrainingBatch) -> dict[str, Tensor]:
        """Both terms, of the batch with the codes of the training images."""
        if len(self.bank.rows) == 0:
            return self.losses(output, batch.labels)
        embedding, labels, rows = map(self.together, (output.embedding, batch.labels, batch.rows))
        self.bank.put(rows, embedding)
        places = self.codes.places(rows)
        codes = torch.where(self.codes.seen[places][:, None], self.codes.values[places], _signs(embedding))
        return self._terms(self.codes.pairs(embedding, labels, rows, values=codes), codes, images=len(self.bank.rows))

    def on_train_epoch_end(self) -> None:
        """Let V follow the network, of further lengths too."""
        for length in (self, *self.beside.values()):
            assert isinstance(length, ADSH)
            length.follow(self.current_epoch)

    def follow(self, epoch: int) -> None:
        """Change V by the embeddings of `queries` training images, evenly spread, others after each epoch."""
        seen = self.bank.seen.nonzero()[:, 0]
        if len(seen) == 0:
            return
        every = max(1, len(seen) // self.queries)
        places = seen[epoch % every :: every].contiguous()
        self.codes.values[seen] = database_codes(
            self.codes.values[seen],
            self.bank.values[places],
            labels=self.bank.labels[seen],
            places=torch.searchsorted(seen, places),
            negative_target=self.negative_target,
            weight=self.weight,
        )

    def _terms(self, pairs: Pairs, codes: Tensor, *, images: int) -> dict[str, Tensor]:
        weight = self.weight / (images * codes.shape[1])
        return {
            "asymmetric": asymmetric_loss(pairs, negative_target=self.negative_target),
            "codes": weight * (codes - pairs.first).square().mean(),
        }

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)


def _signs(embedding: Tensor) -> Tensor:
    """Codes of −1 and 1, without gradient."""
    return torch.where(embedding.detach() > 0, 1.0, -1.0)
