"""DQN: the Deep Quantization Network (Cao, Long, Wang, Zhu and Wen, AAAI 2016).

A bottleneck layer with tanh gives the embedding z. Its loss is L + λQ: L pulls cosines of pairs to their similarity,
Q pulls z to the nearest codeword of each subspace. Codebooks are re-made by k-means a subspace between epochs.
"""

import math
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.codes import count_subspaces
from dqh.errors import NotFittedError
from dqh.losses import (
    inner_product_loss,
    pair_weights,
    pairwise_bound,
    pairwise_cosine_loss,
    product_quantization_loss,
    similarity_targets,
)
from dqh.losses.precision import wide
from dqh.losses.similarity import NegativeTarget, PositiveWeight
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, kmeans
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer

ROUNDS = 2
"""Iterations of k-means of the main length that those for one further length may take as long as."""

BOUND_IMAGES = 512
"""Images of a batch whose similarity loss is compared with its bound."""


class DQN(HashModule):
    """The Deep Quantization Network.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B = M · log2 K, length of a code.
        optimizer: how the weights move.
        codewords: K of a subspace, a power of two; 256 in the authors' release.
        dimension: D, units of the bottleneck, a multiple of M. The paper has 300, which few M divide.
        similarity: what a pair's similarity is compared with: its `cosine` (eq. 2) or, for the ablation, its
            `inner_product` over D, which the source argues against; it needs z of any length, `normalise=False`.
        negative_target: similarity wanted of a pair that shares no label; −1 in the paper; `balanced` for
            −1 / (C − 1), the least that C classes can have all at once.
        positive_weight: weight of a pair that shares a label, 1 in the paper; `balanced` gives positive and negative
            pairs of a batch the same sum.
        diagonal: whether an image is a pair with itself, as in the authors' release.
        quantization_weight: λ, 1e-4 in the authors' release; straight-through codebooks want about 0.1.
        quantization_warmup: share of the steps in which λ is 0, 0 … 1.
        codebook: `alternating`: k-means between epochs, no gradient (§ Learning Algorithm); `straight_through`: a
            parameter that starts there and, after the warm-up of λ, follows the mean ‖z − C h‖² by gradient, whatever
            λ is, while L sees the codewords in place of z (van den Oord et al. 2017, eq. 3).
        rotation: whether an OPQ rotation balances the subspaces; it becomes a part of the quantizer.
        normalise: whether z is divided by its norm, so that L2, inner product and cosine of floats rank alike, as L,
            which compares cosines, would have it. The paper does not.
        distance: what codes are searched by, `l2` (squared) or `ip`, by which the authors' evaluation ranks; None for
            `ip` where z has length 1, else `l2`.
        refit_every: epochs between two updates of alternating codebooks; 1 for those that follow a gradient.
        bottleneck_std: standard deviation of the bottleneck's initial weights; None for torch's default layer. The
            authors' release has 0.01.
        dropout: share of the features zeroed before the bottleneck, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range, or bits, codewords and dimension that do not fit together.
    """

    method = "dqn"
    kind = ProductQuantizer.kind
    one_embedding = True
    codebooks: Tensor
    rotation: Tensor | None
    fitted: Tensor
    settled: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        codewords: int = 256,
        dimension: int = 288,
        similarity: Literal["cosine", "inner_product"] = "cosine",
        negative_target: NegativeTarget = -1.0,
        positive_weight: PositiveWeight = 1.0,
        diagonal: bool = True,
        quantization_weight: float = 1e-4,
        quantization_warmup: float = 0.2,
        codebook: Literal["alternating", "straight_through"] = "alternating",
        rotation: bool = False,
        normalise: bool = True,
        distance: Literal["l2", "ip"] | None = None,
        refit_every: int = 1,
        bottleneck_std: float | None = None,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        subspaces = count_subspaces(bits, codewords, dimension)
        _require(
            similarity=similarity,
            codebook=codebook,
            distance=distance,
            classes=classes,
            quantization_weight=quantization_weight,
            quantization_warmup=quantization_warmup,
            refit_every=refit_every,
            bottleneck_std=bottleneck_std,
            negative_target=negative_target,
            positive_weight=positive_weight,
        )
        if similarity == "inner_product" and normalise:
            raise ValueError("similarity inner_product needs normalise false: of z of length 1 it never comes near 1")
        head = HashHead(
            backbone.dimension,
            dimension,
            activation="tanh",
            dropout=dropout,
            noise=noise,
            hidden=hidden,
            normalise=normalise,
        )
        if bottleneck_std is not None:
            nn.init.normal_(head.linear.weight, std=bottleneck_std)
            nn.init.zeros_(head.linear.bias)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.similarity = similarity
        self.negative_target = -1 / (classes - 1) if negative_target == "balanced" else float(negative_target)
        self.positive_weight: PositiveWeight = positive_weight
        self.diagonal = diagonal
        self.quantization_weight = quantization_weight
        self.quantization_warmup = quantization_warmup
        self.straight_through = codebook == "straight_through"
        self.distance: Literal["l2", "ip"] = distance or ("ip" if normalise else "l2")
        self.refit_every = refit_every
        self.least_images = codewords
        codebooks = torch.zeros(subspaces, codewords, dimension // subspaces)
        if self.straight_through:
            self.codebooks = nn.Parameter(codebooks)
        else:
            self.register_buffer("codebooks", codebooks)
        self.register_buffer("rotation", torch.eye(dimension) if rotation else None)
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("settled", torch.tensor(False))
        self._is_settled = False  # as `settled`, which may be on a device that would have to be waited for
        self.register_load_state_dict_post_hook(_note_settled)  # type: ignore[no-untyped-call]

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """L over all pairs of the batch, also across processes, and λQ over its images; all in float32.

        Codebooks that follow a gradient have a term of their own, Q of weight 1 in which z is fixed.
        """
        z = self._rotated(output.embedding)
        assignment = nearest(z, self.codebooks)
        quantization = product_quantization_loss(z, self.codebooks.detach(), assignment)
        terms = {}
        weight = self.quantization_weight if self.progress >= self.quantization_warmup else 0.0
        if self.straight_through:
            terms["codebooks"] = product_quantization_loss(z.detach(), self.codebooks, assignment)
            if self._is_settled:
                z = z + (_codewords(self.codebooks, assignment) - z).detach()
        similarity = self._similarity(self.together(z), self.together(labels))
        return {"similarity": similarity, "quantization": weight * quantization, **terms}

    def diagnostics(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """`quantization_error`: Q over the mean of ‖z‖²; `similarity_excess`: L of z less its least possible value.

        The second of at most `BOUND_IMAGES` images, as the bound takes the eigenvalues of all their pairs.
        """
        z = self._rotated(output.embedding)
        quantization = product_quantization_loss(z, self.codebooks, nearest(z, self.codebooks))
        values = {"quantization_error": quantization / z.square().sum(1).mean()}
        if self.similarity == "cosine":
            z, labels = z[:BOUND_IMAGES], labels[:BOUND_IMAGES]
            targets = similarity_targets(labels, negative=self.negative_target)
            weights = pair_weights(labels, positive_weight=self.positive_weight, diagonal=self.diagonal)
            values["similarity_excess"] = self._similarity(z, labels) - pairwise_bound(targets, weights)
        return values

    def _similarity(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """L of all pairs of these images."""
        loss = pairwise_cosine_loss
        if self.similarity == "inner_product":
            loss = partial(inner_product_loss, bits=embedding.shape[1])
        return loss(
            embedding,
            labels,
            negative_target=self.negative_target,
            positive_weight=self.positive_weight,
            diagonal=self.diagonal,
        )

    def fit_quantizer(self, embedding: NDArray[np.float32], *, seed: int) -> None:
        """K-means a subspace, from the last codebooks where there are some; with `rotation` OPQ from the start.

        Codebooks that follow a gradient are fitted once more when the warm-up is over, and then left alone; L sees
        codewords from there on.
        """
        if self._is_settled:
            return
        subspaces, codewords, _ = self.codebooks.shape
        kind = ProductQuantizer if self.rotation is None else OptimizedProductQuantizer
        start = self.codebooks.detach().cpu().numpy() if self.fitted and self.rotation is None else None
        quantizer = kind(subspaces, codewords, seed=seed, device=self.device).fit(embedding, start=start)
        with torch.no_grad():
            self.codebooks.copy_(torch.tensor(quantizer.codebooks))
            if self.rotation is not None and quantizer.rotation is not None:
                self.rotation.copy_(torch.tensor(quantizer.rotation))
            self.fitted.fill_(value=True)
            self._is_settled = self.straight_through and self.progress >= self.quantization_warmup
            self.settled.fill_(value=self._is_settled)

    @property
    def bits(self) -> int:
        """M · log2 K."""
        return len(self.codebooks) * (self.codebooks.shape[1].bit_length() - 1)

    def quantizer(self) -> ProductQuantizer:
        """The codebooks as they are.

        Raises:
            NotFittedError: they were never fitted.
        """
        if not self.fitted:
            raise NotFittedError("the codebooks of dqn are not fitted; call fit_quantizer(embedding, seed=0) first")
        rotation = None if self.rotation is None else self.rotation.cpu().numpy()
        return ProductQuantizer.from_codebooks(
            self.codebooks.detach().cpu().numpy(),
            rotation=rotation,
            distance=self.distance,
        )

    def quantizer_of(self, bits: int, embedding: NDArray[np.float32], *, seed: int) -> ProductQuantizer:
        """Codebooks of another M, by a few rounds of k-means from the cells of the main length; with `rotation` OPQ.

        The fewer subspaces, the less a round takes and the more there are.

        Raises:
            ValueError: bits, codewords and dimension do not fit together.
        """
        dimension, codewords = self.encoder.head.dimension, self.codebooks.shape[1]
        subspaces = count_subspaces(bits, codewords, dimension)
        if self.rotation is not None:
            rotated = OptimizedProductQuantizer(subspaces, codewords, seed=seed, device=self.device)
            fitted: ProductQuantizer = rotated.fit(embedding)
        else:
            rounds = max(1, ROUNDS * len(self.codebooks) // subspaces)
            fitted = ProductQuantizer(subspaces, codewords, iterations=rounds, device=self.device)
            fitted.fit(embedding, start=self._means_of_cells(embedding, subspaces))
        return ProductQuantizer.from_codebooks(fitted.codebooks, rotation=fitted.rotation, distance=self.distance)

    def _means_of_cells(self, embedding: NDArray[np.float32], subspaces: int) -> NDArray[np.float32]:
        """Codebooks (M', K, D / M') to start another M' from.

        The codebooks of the main length were fitted in all epochs, in many more rounds than there is time for here, and
        their cells follow the classes. Each part begins with the means of the cells of that part of the main length in
        which its own first dimension lies.
        """
        vectors, start = torch.from_numpy(embedding).to(self.device), []
        parts, books = vectors.chunk(len(self.codebooks), dim=1), self.codebooks.detach()
        for m, own in enumerate(vectors.chunk(subspaces, dim=1)):
            place = m * len(books) // subspaces
            cells, distances = kmeans.nearest(parts[place], books[place])
            start.append(kmeans.update(own, own[: books.shape[1]], cells, distances))
        return torch.stack(start).cpu().numpy()

    def _rotated(self, embedding: Tensor) -> Tensor:
        embedding = wide(embedding)
        with torch.autocast(embedding.device.type, enabled=False):
            return embedding if self.rotation is None else embedding @ self.rotation


def nearest(embedding: Tensor, codebooks: Tensor) -> Tensor:
    """(N, M) int64 nearest codeword in each subspace of (N, D), for codebooks (M, K, D/M): exact for such a C.

    The paper's iterated conditional modes (eq. 11) come to the same, as no codebook touches another's subspace.
    """
    subspaces, _, width = codebooks.shape
    parts = embedding.detach().view(len(embedding), subspaces, width).transpose(0, 1)
    with torch.no_grad(), torch.autocast(embedding.device.type, enabled=False):
        return torch.cdist(parts.float(), codebooks.float()).argmin(2).T


def _note_settled(module: nn.Module, incompatible_keys: object) -> None:
    """Take over what a state that has been loaded says."""
    assert isinstance(module, DQN)
    module._is_settled = bool(module.settled)


def _codewords(codebooks: Tensor, assignment: Tensor) -> Tensor:
    """(N, D) codewords of an assignment (N, M)."""
    return codebooks[torch.arange(len(codebooks), device=assignment.device), assignment].flatten(1)


def _require(
    *,
    similarity: str,
    codebook: str,
    distance: str | None,
    classes: int,
    quantization_weight: float,
    quantization_warmup: float,
    refit_every: int,
    bottleneck_std: float | None,
    negative_target: NegativeTarget,
    positive_weight: PositiveWeight,
) -> None:
    wanted = {
        f"similarity cosine or inner_product, got {similarity}": similarity in ("cosine", "inner_product"),
        f"codebook alternating or straight_through, got {codebook}": codebook in ("alternating", "straight_through"),
        f"distance l2, ip or null, got {distance}": distance in ("l2", "ip", None),
        f"refit_every 1 for straight_through codebooks, got {refit_every}": codebook != "straight_through"
        or refit_every == 1,
        f"classes at least 2, got {classes}": classes >= 2,
        f"quantization_weight at least 0, got {quantization_weight}": 0 <= quantization_weight < math.inf,
        f"quantization_warmup in 0 … 1, got {quantization_warmup}": 0 <= quantization_warmup <= 1,
        f"refit_every at least 1, got {refit_every}": refit_every >= 1,
        f"bottleneck_std null or above 0, got {bottleneck_std}": bottleneck_std is None
        or 0 < bottleneck_std < math.inf,
        f"negative_target balanced or in −1 … 1, 1 excluded, got {negative_target}": negative_target == "balanced"
        or -1 <= negative_target < 1,
        f"positive_weight balanced or above 0, got {positive_weight}": positive_weight == "balanced"
        or 0 < positive_weight < math.inf,
    }
    wrong = [text for text, holds in wanted.items() if not holds]
    if wrong:
        raise ValueError(f"wanted {'; '.join(wrong)}")
