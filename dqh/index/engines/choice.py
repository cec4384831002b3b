"""Which engine searches which codes: those that fit, the one that the size of a collection asks for, and its making."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.aqd import AQD
from dqh.index.engines.binary_hnsw import BinaryHNSW
from dqh.index.engines.binary_ivf import BinaryIVF
from dqh.index.engines.engine import Engine, ExactEngine
from dqh.index.engines.hamming import Hamming
from dqh.index.engines.hnsw import HNSW
from dqh.index.engines.ivfpq import IVFPQ
from dqh.quantizers import Quantizer

ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (Hamming, AQD, BinaryIVF, BinaryHNSW, IVFPQ, HNSW)
}
"""All engines by name."""


def fitting(quantizer: Quantizer, *, distance: str | None = None) -> tuple[str, ...]:
    """Names of the engines that can search codes of a quantizer by a distance, its own for None; exact ones first."""
    fits = [engine for engine in ENGINES.values() if engine.fits(quantizer, distance or quantizer.distance)]
    return tuple(engine.name for engine in sorted(fits, key=lambda engine: not engine.exact))


def choose(quantizer: Quantizer, rows: int, *, distance: str | None = None) -> str:
    """The engine for a collection of this size: of those that fit and are for so many rows the one for the fewest.

    Where none is for so many, as by cosine, the exact one.
    """
    names = fitting(quantizer, distance=distance)
    enough = [name for name in names if ENGINES[name].most_rows >= max(1, rows)]
    return min(enough, key=lambda name: ENGINES[name].most_rows, default=names[0])


def exact_engine(quantizer: Quantizer, codes: NDArray[np.uint8], *, distance: str | None = None) -> ExactEngine:
    """The exact engine over codes (N, ⌈B / 8⌉)."""
    engine: Any = build(fitting(quantizer, distance=distance)[0], quantizer, codes, distance=distance)
    return cast(ExactEngine, engine)


def build(name: str, quantizer: Quantizer, codes: NDArray[np.uint8], *, distance: str | None = None) -> Engine:
    """An engine over codes.

    Args:
        name: one of `fitting(quantizer, distance=distance)`.
        quantizer: whose codes they are.
        codes: (N, ⌈B / 8⌉) uint8; at least one for an approximate engine.
        distance: of product-quantized codes; None for their own.

    Raises:
        ValueError: no such engine for these codes.
    """
    names = fitting(quantizer, distance=distance)
    if name not in names:
        raise ValueError(f"engine must be one of {', '.join(names)} for these codes and this distance, got {name!r}")
    if not len(codes) and not ENGINES[name].exact:
        raise ValueError(f"engine {name} needs at least one item; search an empty index by {names[0]}")
    return ENGINES[name].build(quantizer, codes, distance or quantizer.distance)
