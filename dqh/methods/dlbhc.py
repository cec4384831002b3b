"""DLBHC: the latent-binary-layer network (Lin, Yang, Hsiao and Chen, CVPRW 2015).

A sigmoid layer H of B units stands between the feature layer and the classifier, the classifier depends on H alone,
and softmax cross-entropy is the only loss, but where `reconstruction` adds one. The code is H > 0.5.
"""

import math

from torch import Tensor, nn

from dqh.losses import classification_loss, reconstruction_loss
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer

MOST_BITS = 4096


class DLBHC(HashModule):
    """The latent-binary-layer network.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B, units of the latent layer and bits of a code.
        optimizer: how the weights move.
        dropout: share of the features zeroed before the latent layer, 0 … 1; 0.5 in the paper's network (drop7).
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.
        latent_std: standard deviation of the latent layer's initial weights; None for torch's default layer.
            The authors' release has 0.005.
        latent_bias: initial bias of the latent layer where `latent_std` is set. The authors' release has 1.
        classifier_std: standard deviation of the classifier's initial weights; None for torch's default layer.
            The authors' release has 0.01, with bias 0.
        label_smoothing: share of the target spread over all classes, 0 … 1; 0 in the paper.
        reconstruction: weight, at least 0, of `reconstruction_loss` beside the cross-entropy: of the features as one
            more layer, which only the training has, rebuilds them from the latent layer. It keeps in the code what the
            classes trained on do not need, and others may. 0, as in the paper, has no such layer. A backbone that
            trains costs a second pass of the head, in which batch statistics of a hidden layer move too.

    Raises:
        ValueError: bits outside 1 … `MOST_BITS`, fewer than two classes, or another value outside its range.
    """

    method = "dlbhc"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
        latent_std: float | None = None,
        latent_bias: float = 0.0,
        classifier_std: float | None = None,
        label_smoothing: float = 0.0,
        reconstruction: float = 0.0,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if bits > MOST_BITS:
            raise ValueError(f"bits must be at most {MOST_BITS}, got {bits}")
        for name, std in (("latent_std", latent_std), ("classifier_std", classifier_std)):
            if std is not None and not 0 <= std < math.inf:
                raise ValueError(f"{name} must be null or at least 0, got {std}")
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}; a classifier needs something to tell apart")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in 0 … 1, 1 excluded, got {label_smoothing}")
        if not 0 <= reconstruction < math.inf:
            raise ValueError(f"reconstruction must be at least 0 and finite, got {reconstruction}")
        encoder = Encoder(
            backbone,
            HashHead(backbone.dimension, bits, activation="sigmoid", dropout=dropout, noise=noise, hidden=hidden),
        )
        classifier = nn.Linear(bits, classes)
        if latent_std is not None:
            nn.init.normal_(encoder.head.linear.weight, std=latent_std)
            nn.init.constant_(encoder.head.linear.bias, latent_bias)
        if classifier_std is not None:
            nn.init.normal_(classifier.weight, std=classifier_std)
            nn.init.zeros_(classifier.bias)
        super().__init__(encoder, classifier=classifier, optimizer=optimizer)
        self.label_smoothing = label_smoothing
        self.reconstruction = reconstruction
        self.decoder = nn.Linear(bits, backbone.dimension) if reconstruction else None

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy: softmax for single labels (N,), a sigmoid a class for multi-labels (N, C)."""
        assert self.classifier is not None
        scores = self.classifier(output.embedding)
        terms = {"cross_entropy": classification_loss(scores, labels, label_smoothing=self.label_smoothing)}
        if self.decoder is not None:
            # a backbone that trains is left to the classes: the decoder's gradient would drown theirs
            moves = output.features.requires_grad
            embedding = self.encoder.head(output.features.detach()) if moves else output.embedding
            rebuilt, features = self.together(self.decoder(embedding)), self.together(output.features.detach())
            terms["reconstruction"] = self.reconstruction * reconstruction_loss(rebuilt, features)
        return terms

    def quantizer(self) -> Threshold:
        """One bit a latent unit, set above 0.5."""
        return Threshold(self.encoder.head.dimension)
