"""The shallow binary baselines by name: what the codes of a network are compared with, fitted on its features."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, Self

from dqh.quantizers.itq import ITQ
from dqh.quantizers.itq_cca import ITQCCA
from dqh.quantizers.ksh import KSH
from dqh.quantizers.lsh import LSH
from dqh.quantizers.quantizer import Coder
from dqh.quantizers.sign_hash import Labels, Vectors
from dqh.quantizers.spectral import SpectralHash


class Baseline(Coder, Protocol):
    """From vectors to packed codes."""

    def fit(self, vectors: Vectors, labels: Labels | None = None) -> Self:
        """Learn from vectors (N, F), and labels (N,) or (N, C) bool, which the supervised ones need."""
        ...


BASELINES: dict[str, Callable[..., Baseline]] = {
    "lsh": LSH,
    "lsh_gaussian": partial(LSH, orthogonal=False),
    "sh": SpectralHash,
    "itq": ITQ,
    "itq_cca": ITQCCA,
    "ksh": KSH,
}
"""(bits, seed=0) → baseline by name, those without supervision first; `itq_cca` and `ksh` need labels."""
