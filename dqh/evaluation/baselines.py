"""Shallow quantizers fitted after the fact: what codes that a network learned are compared with, at equal bits.

    lsh, lsh_gaussian, sh,       binary codes of the features, ranked by Hamming distance; the two lsh differ in their
    pca_rr, itq, itq_cca, ksh,   random directions: orthonormal, or independent Gaussians; pca_rr is itq not iterated
    bre, mlh
    vq, pq, opq                  product-quantized codes of the features, ranked by AQD (squared L2)
    pq_embedding, opq_embedding  the same of the trained embedding, ranked as the artifact's own codes, where these are
                                 product-quantized

They are fitted on the training rows and are no use of the trained codes. The methods are in `dqh.quantizers`.

M subspaces, K codewords, N training rows.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, Protocol, Self, cast

import numpy as np
import torch

from dqh.outliers import usual_rows
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, Quantizer, VectorQuantizer
from dqh.quantizers.bre import BRE
from dqh.quantizers.itq import ITQ
from dqh.quantizers.itq_cca import ITQCCA
from dqh.quantizers.ksh import KSH
from dqh.quantizers.lsh import LSH
from dqh.quantizers.mlh import MLH
from dqh.quantizers.product import LARGEST
from dqh.quantizers.quantizer import Coder
from dqh.quantizers.sign_hash import Labels, Vectors
from dqh.quantizers.spectral import SpectralHash
from dqh.ranking.side import Side


class Baseline(Coder, Protocol):
    """From vectors to packed codes."""

    def fit(self, vectors: Vectors, labels: Labels | None = None) -> Self:
        """Learn from vectors (N, F), and labels (N,) or (N, C) bool, which the supervised ones need."""
        ...


BASELINES: dict[str, Callable[..., Baseline]] = {
    "lsh": LSH,
    "lsh_gaussian": partial(LSH, orthogonal=False),
    "sh": SpectralHash,
    "pca_rr": partial(ITQ, iterations=0),
    "itq": ITQ,
    "itq_cca": ITQCCA,
    "ksh": KSH,
    "bre": BRE,
    "mlh": MLH,
}
"""(bits, seed=0) → baseline by name, those without supervision first."""

SUPERVISED = ("itq_cca", "ksh", "bre", "mlh")
"""Those that need labels."""

NAMES = (*BASELINES, "vq", "pq", "opq")
"""What may be asked for."""

DEFAULT_BASELINES = ("pca_rr", "itq", "itq_cca")
"""What takes seconds, and is linear with a sign as the layer H is: what H must be better than."""

OF_EMBEDDING = ("pq", "opq")
"""Those that also bring a row of the embedding."""

LARGEST_WIDTH = 16
"""Bits of an index at most."""

By = Literal["features", "embedding"]


class Fitted(NamedTuple):
    """A baseline that can encode: the name of its row, vectors → codes, and which vectors it was fitted on."""

    name: str
    quantizer: Coder
    by: By

    def encoded(self, side: Side) -> Side:
        """The side with these codes, and what they were made of as its embedding."""
        vectors = np.asarray(getattr(side, self.by), np.float32)
        return side._replace(codes=self.quantizer.encode(vectors), embedding=vectors)


class Baselines(NamedTuple):
    """What could be fitted, in the order asked for, and by row why it could not be."""

    fitted: list[Fitted]
    missing: dict[str, str]


def fit_baselines(
    names: Sequence[str],
    train: Side,
    *,
    quantizer: Quantizer,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Baselines:
    """Fit quantizers with as many bits as the codes of an artifact.

    Args:
        names: out of `NAMES`.
        train: the training rows; codes are not read.
        quantizer: of the artifact: gives the number of bits, and of product-quantized codes M and K.
        seed: of each fit.
        device: where k-means runs.

    Returns:
        Baselines; what cannot be fitted, as more bits than dimensions, has its reason there.
    """
    wanted: list[tuple[str, str, By]] = [(name, name, "features") for name in names]
    if "l2" in quantizer.distances:
        wanted += [(f"{name}_embedding", name, "embedding") for name in names if name in OF_EMBEDDING]
    baselines = Baselines([], {})
    sides: dict[By, Side] = {}
    for by in dict.fromkeys(by for _, _, by in wanted):
        usual = usual_rows(getattr(train, by), user="baselines", kind=by)
        sides[by] = train if usual.all() else train.at(np.flatnonzero(usual).tolist())
    for row, name, by in wanted:
        try:
            fitted = _fit(name, sides[by], by, quantizer=quantizer, seed=seed, device=device)
        except ValueError as error:
            baselines.missing[row] = f"it could not be fitted: {error}"
        else:
            baselines.fitted.append(Fitted(row, fitted, by))
    return baselines


def division(bits: int, dimension: int, *, vectors: int, codewords: int = 256) -> tuple[int, int]:
    """M and K of a product quantizer of a number of bits: M divides the dimension, K is as near as can be to a wish.

    Args:
        bits: M log2 K.
        dimension: of a vector.
        vectors: to fit on, which K may not exceed.
        codewords: wished K; log2 K is compared, and of equally near ones the smaller taken.

    Raises:
        ValueError: no M and K are possible.

    Example:
        >>> division(48, 1280, vectors=5000), division(12, 64, vectors=1000)
        ((8, 64), (2, 64))
    """
    widths = [
        width
        for width in range(1, LARGEST_WIDTH + 1)
        if bits % width == 0 and dimension % (bits // width) == 0 and 2**width <= vectors
    ]
    if not widths:
        raise ValueError(
            f"no product quantizer of {bits} bits fits vectors of {dimension} dimensions and {vectors} of them: "
            "M must divide the dimensions, and K, 2^(bits / M), be at most their number and 65,536"
        )
    width = min(widths, key=lambda bits: abs(bits - (codewords.bit_length() - 1)))
    return bits // width, 2**width


def _fit(name: str, train: Side, by: By, *, quantizer: Quantizer, seed: int, device: torch.device | str) -> Coder:
    vectors = np.asarray(getattr(train, by), np.float32)
    if name in BASELINES:
        return BASELINES[name](quantizer.bits, seed=seed).fit(vectors, train.labels)
    if name == "vq":
        if 2**quantizer.bits > LARGEST:
            raise ValueError(f"vq has 2^bits codewords, at most {LARGEST:,}: 16 bits, got {quantizer.bits}")
        return VectorQuantizer(2**quantizer.bits, seed=seed, device=device).fit(vectors)
    wish = quantizer.layout().get("product_quantizer", {}).get("codewords", 256)
    size = division(quantizer.bits, vectors.shape[1], vectors=len(vectors), codewords=wish)
    kind = OptimizedProductQuantizer if name == "opq" else ProductQuantizer
    fitted = kind(*size, seed=seed, device=device).fit(vectors)
    if by == "embedding":
        fitted.distance = cast(Literal["l2", "ip"], quantizer.distance)
    return fitted
