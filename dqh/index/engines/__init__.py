"""Coarse engines behind one interface, one a file: approximate ones of faiss for large collections.

    binary_ivf   inverted lists, binary       ivfpq        inverted lists, product-quantized
    binary_hnsw  graph, binary                hnsw         graph, product-quantized

Each says whose answers it approximates and up to how many rows it is chosen, and builds, saves and loads itself. The
exact engine of codes, which all others are measured against, is that of their way of searching, in `dqh.index.ways`.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.binary_hnsw import BinaryHNSW
from dqh.index.engines.binary_ivf import BinaryIVF
from dqh.index.engines.engine import BuiltEngine, Engine, ExactEngine, FilteringEngine
from dqh.index.engines.faiss_engine import FaissEngine
from dqh.index.engines.hnsw import HNSW
from dqh.index.engines.ivfpq import IVFPQ
from dqh.quantizers import Quantizer

if TYPE_CHECKING:
    from dqh.index.ways import CodeWay

__all__ = ["ENGINES", "Engine", "ExactEngine", "FaissEngine", "FilteringEngine", "build", "choose", "fitting"]

ENGINES: dict[str, type[BuiltEngine]] = {engine.name: engine for engine in (BinaryIVF, BinaryHNSW, IVFPQ, HNSW)}
"""The engines beside the exact one that each way of searching has."""


def fitting(quantizer: Quantizer, way: "CodeWay") -> tuple[str, ...]:
    """Names of the engines that search codes of a quantizer by a way that fits it; exact ones first."""
    fits = [engine for engine in ENGINES.values() if engine.fits(quantizer, way)]
    return way.engine, *(engine.name for engine in sorted(fits, key=lambda engine: not engine.exact))


def choose(quantizer: Quantizer, way: "CodeWay", rows: int) -> str:
    """The engine for a collection of this size: of those that fit and are for so many rows the one for the fewest.

    Where none is for so many, as by cosine, the exact one.
    """
    exact, *others = fitting(quantizer, way)
    most_rows = {exact: way.most_rows} | {name: ENGINES[name].most_rows for name in others}
    enough = [name for name, most in most_rows.items() if most >= max(1, rows)]
    return min(enough, key=most_rows.__getitem__, default=exact)


def build(name: str, quantizer: Quantizer, way: "CodeWay", codes: NDArray[np.uint8]) -> Engine:
    """An engine over codes.

    Of codes (N, ⌈B / 8⌉) uint8, at least one for an approximate engine; `name` is one of `fitting` them by the way.

    Raises:
        ValueError: no such engine for these codes.
    """
    names = fitting(quantizer, way)
    if name not in names:
        raise ValueError(
            f"engine must be one of {', '.join(names)} for these codes by the way {way.name}, got {name!r}"
        )
    if name == way.engine:
        return way.index(quantizer, codes)
    if not len(codes) and not ENGINES[name].exact:
        raise ValueError(f"engine {name} needs at least one item; search an empty index by {names[0]}")
    return ENGINES[name].build(quantizer, codes, way.distance)
