"""DVSQ: deep visual-semantic quantization (Cao, Long, Wang and Liu, CVPR 2017).

The embedding z is what a tanh layer gives, in the space of vectors of the classes. It is to be nearer to the vectors of
its classes than to others, by a margin that grows with how unlike two classes are, and quantization is to keep its
inner products with all of them. Codebooks are re-made by k-means a subspace between epochs.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dqh.data.data_file import open_data
from dqh.errors import ConfigError
from dqh.losses.semantic_margin import semantic_margin_loss, semantic_quantization_loss
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.npy import map_any_npy
from dqh.quantizers import ProductQuantizer
from dqh.training.learned_codebooks import LearnedCodebooks
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class DVSQ(HashModule):
    """Deep visual-semantic quantization.

    Departures: codewords of subspaces, found by plain k-means, where the paper adds words of the whole space and weighs
    errors by the class vectors; without word vectors the classes have random directions, orthogonal where D allows, so
    that all margins are about 1.

    Args:
        backbone: images → features.
        classes: C, number of classes.
        bits: B = M · log2 K, length of a code.
        optimizer: how the weights move.
        class_vectors: path of a `.npy` file, (C, D) float, a vector for each class in the order of the data's names;
            None for random ones.
        codewords: K of a subspace, a power of two; 256 in the authors' code.
        dimension: D, a multiple of M; that of the class vectors, 300 in the authors' code.
        quantization_weight: λ, at least 0; 1e-4 in the authors' code.
        seed: of random class vectors.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer, as in the paper.

    Raises:
        ValueError: a value outside its range, or bits, codewords and dimension that do not fit together.
        ConfigError: class vectors of another shape or type, or not finite.
        DataError: no such file.
    """

    method = "dvsq"
    kind = ProductQuantizer.kind
    one_embedding = True
    refit_every = 1
    vectors: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        class_vectors: str | None = None,
        codewords: int = 256,
        dimension: int = 288,
        quantization_weight: float = 1e-4,
        seed: int = 0,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if classes < 2:
            raise ValueError(f"classes must be at least 2, got {classes}; a margin needs something to tell apart")
        if not 0 <= quantization_weight < math.inf:
            raise ValueError(f"quantization_weight must be at least 0, got {quantization_weight}")
        codebooks = LearnedCodebooks(bits=bits, codewords=codewords, dimension=dimension, follows_gradient=False)
        head = HashHead(backbone.dimension, dimension, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.codebooks = codebooks
        self.least_images = codewords
        self.quantization_weight = quantization_weight
        given = None if class_vectors is None else _read(Path(class_vectors), (classes, dimension))
        vectors = _random_directions(classes, dimension, seed=seed) if given is None else torch.from_numpy(given)
        self.register_buffer("vectors", vectors.to(self.codebooks.words.device))

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Margins to the class vectors, and what the nearest codewords change of inner products with them."""
        z = output.embedding.to(torch.promote_types(output.embedding.dtype, torch.float32))
        errors = z - self.codebooks.nearest(z)
        return {
            "margin": semantic_margin_loss(z, labels, self.vectors),
            "quantization": self.quantization_weight * semantic_quantization_loss(errors, self.vectors),
        }

    def fit_quantizer(self, embedding: NDArray[np.float32], *, seed: int) -> None:
        """K-means a subspace, from the last codebooks where there are some."""
        self.codebooks.fit(embedding, seed=seed)

    @property
    def bits(self) -> int:
        """M · log2 K."""
        return self.codebooks.bits

    def quantizer(self) -> ProductQuantizer:
        """The codebooks as they are, searched by inner products; `NotFittedError` before they were fitted."""
        return self.codebooks.quantizer("ip")

    def quantizer_of(self, bits: int, embedding: NDArray[np.float32], *, seed: int) -> ProductQuantizer:
        """Codebooks of another M, by k-means; `ValueError` where bits, codewords and dimension do not fit together."""
        return self.codebooks.fit_others(bits, embedding, seed=seed).quantizer("ip")


def _random_directions(classes: int, dimension: int, *, seed: int) -> Tensor:
    """(C, D) of length 1, orthogonal where C is at most D."""
    drawn: Tensor = torch.randn(classes, dimension, generator=torch.Generator().manual_seed(seed), device="cpu")
    if classes <= dimension:
        orthogonal: Tensor = torch.linalg.qr(drawn.T)[0]
        return orthogonal.T.contiguous()
    return functional.normalize(drawn, dim=1)


def _read(file: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    with open_data(file, kind="file of class vectors", advice="make it with numpy.save") as stream:
        try:
            vectors = np.array(map_any_npy(stream, file))
        except ValueError as error:
            raise ConfigError(f"method.class_vectors: {file} is no .npy file of plain numbers: {error}") from error
    if vectors.shape != shape or vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise ConfigError(
            f"method.class_vectors: {file} must be finite float of shape {shape}, got {vectors.dtype} of shape "
            f"{vectors.shape}; method.dimension is that of its vectors"
        )
    return vectors.astype(np.float32)
