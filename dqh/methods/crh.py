"""CRH: center-reassigned hashing (Yin, Yin, Hou, Liu, Chen and Zhang, AAAI 2026, "Codebook-centric deep hashing").

Every class has a hash centre, put together of parts; a softmax over the scaled cosines to all centres, with a margin,
draws the embedding to it. After an epoch the classes choose their centres anew among twice as many candidates: those
that are nearest to the codes of their images, each by one class only. So similar classes come to similar centres.
"""

import math

import torch
from torch import Tensor, nn

from dqh.losses import margin_cosine_loss, squared_sign_penalty
from dqh.losses.precision import wide
from dqh.losses.reassignment import candidates, reassigned
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.class_sums import ClassSums
from dqh.training.module import HashModule, TrainingBatch
from dqh.training.optimizer import Optimizer


class CRH(HashModule):
    """Center-reassigned hashing.

    The centres are the weights of a classifier that no gradient moves. Written from the paper's formulas as others
    state them. Departures: the Hungarian algorithm everywhere, where the authors have a greedy one for speed; see
    `dqh.losses.reassignment`.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, length of a code.
        optimizer: how the weights move.
        scale: s, what cosines are multiplied by, above 0; None for √2 · log(C − 1), at least 1, as in the paper.
        margin: what is taken off the cosine of the right class, at least 0; 0.2 in the paper.
        quantization: λ, weight of the mean of (|tanh u| − 1)², at least 0; 0.1 in the paper, 0 for several labels.
        reassign_until: epochs after each of which the centres are chosen anew, at least 0, 20 in the paper; then after
            every fifth.
        seed: of the candidates.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range, or fewer than two codes of `bits` bits a class.
    """

    method = "crh"
    book: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        scale: float | None = None,
        margin: float = 0.2,
        quantization: float = 0.1,
        reassign_until: int = 20,
        seed: int = 0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"scale must be null or above 0, got {scale}")
        if not 0 <= margin < math.inf:
            raise ValueError(f"margin must be at least 0, got {margin}")
        if not 0 <= quantization < math.inf:
            raise ValueError(f"quantization must be at least 0, got {quantization}")
        if reassign_until < 0:
            raise ValueError(f"reassign_until must be at least 0, got {reassign_until}")
        book = candidates(classes, bits, seed=seed)
        classifier = nn.Linear(bits, classes).requires_grad_(False)
        classifier.weight.copy_(torch.from_numpy(book[:, :classes].transpose(1, 0, 2).reshape(classes, bits)))
        classifier.bias.zero_()
        head = HashHead(backbone.dimension, bits, activation="none", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=classifier, optimizer=optimizer)
        self.scale = max(1.0, math.sqrt(2) * math.log(max(2, classes - 1))) if scale is None else scale
        self.margin = margin
        self.quantization = quantization
        self.reassign_until = reassign_until
        self.register_buffer("book", torch.from_numpy(book).to(classifier.weight.device))
        self.codes = ClassSums(classes, bits)

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Softmax cross-entropy over the cosines, and the weighted distance from the signs."""
        assert self.classifier is not None
        embedding = wide(output.embedding)
        terms = {"scale": self.scale, "margin": self.margin}
        return {
            "cosine": margin_cosine_loss(embedding, labels, centres=self.classifier.weight, **terms),
            "quantization": self.quantization * squared_sign_penalty(embedding.tanh()),
        }

    def losses_of_step(self, output: EncoderOutput, batch: TrainingBatch) -> dict[str, Tensor]:
        """Both terms; the codes of the batch are counted."""
        signs = torch.where(output.embedding.detach() > 0, 1.0, -1.0)
        self.codes.add(self.together(signs), self.together(batch.labels))
        return self.losses(output, batch.labels)

    def on_train_epoch_end(self) -> None:
        """Choose the centres anew where it is time, of further lengths too."""
        epoch = self.current_epoch
        for length in (self, *self.beside.values()):
            assert isinstance(length, CRH)
            if epoch < self.reassign_until or (epoch + 1) % 5 == 0:
                length.reassign()
            length.codes.clear()

    def reassign(self) -> None:
        """Give each class the candidates that are nearest to the codes of its images."""
        assert self.classifier is not None
        means, weights = self.codes.means().cpu(), self.codes.weights.cpu()
        centres = reassigned(self.book.cpu().numpy(), means.numpy(), (weights > 0).numpy())
        self.classifier.weight.data.copy_(centres)

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
