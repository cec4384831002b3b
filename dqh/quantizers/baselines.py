"""The shallow binary baselines by name: what the codes of a network are compared with, fitted on its features."""

from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.itq import ITQ
from dqh.quantizers.itq_cca import ITQCCA
from dqh.quantizers.ksh import KSH
from dqh.quantizers.lsh import LSH
from dqh.quantizers.sign_hash import Labels, Vectors
from dqh.quantizers.spectral import SpectralHash


class Baseline(Protocol):
    """From vectors to packed codes.

    Attributes:
        name: of the method, the key in `BASELINES`.
        bits: B, length of a code.
    """

    name: ClassVar[str]
    bits: int

    def __init__(self, bits: int, *, seed: int = 0) -> None: ...

    def fit(self, vectors: Vectors, labels: Labels | None = None) -> Self:
        """Learn from vectors (N, F), and labels (N,) or (N, C) bool, which the supervised ones need."""
        ...

    def encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        """Packed codes, (N, ⌈B / 8⌉) uint8, of vectors (N, F)."""
        ...


BASELINES: dict[str, type[Baseline]] = {method.name: method for method in (LSH, SpectralHash, ITQ, ITQCCA, KSH)}
"""The baselines by name, those without supervision first; `itq_cca` and `ksh` need labels."""
