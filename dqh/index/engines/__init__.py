"""Coarse engines behind one interface, one a file: approximate ones of faiss for large collections, exact ones on CUDA.

    binary_ivf   inverted lists, binary       ivfpq        inverted lists, product-quantized
    binary_hnsw  graph, binary                hnsw         graph, product-quantized
    cuda         exact, on a CUDA device

Each says whose answers it gives or approximates and up to how many rows it is chosen, and builds itself; those of faiss
are saved and loaded, too. The exact engine of codes, which all others are measured against, is that of their way of
searching, in `dqh.index.ways`.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.binary_hnsw import BinaryHNSW
from dqh.index.engines.binary_ivf import BinaryIVF
from dqh.index.engines.cuda import AQDCUDA, HammingCUDA
from dqh.index.engines.engine import BuiltEngine, Engine, ExactEngine, FilteringEngine
from dqh.index.engines.faiss_engine import FaissEngine
from dqh.index.engines.hnsw import HNSW
from dqh.index.engines.ivfpq import IVFPQ
from dqh.quantizers import Quantizer

if TYPE_CHECKING:
    import torch

    from dqh.index.ways import CodeWay

__all__ = [
    "ENGINES",
    "Engine",
    "ExactEngine",
    "FaissEngine",
    "FilteringEngine",
    "build",
    "choose",
    "exact_on",
    "fitting",
]

ENGINES: dict[str, type[BuiltEngine]] = {
    engine.name: engine for engine in (BinaryIVF, BinaryHNSW, IVFPQ, HNSW, HammingCUDA, AQDCUDA)
}
"""The engines beside the exact one that each way of searching has."""


def fitting(quantizer: Quantizer, way: "CodeWay") -> tuple[str, ...]:
    """Names of the engines that search codes of a quantizer by a way that fits it; exact ones first."""
    fits = [engine for engine in ENGINES.values() if engine.fits(quantizer, way)]
    return way.engine, *(engine.name for engine in sorted(fits, key=lambda engine: not engine.exact))


def choose(quantizer: Quantizer, way: "CodeWay", rows: int, *, device: str | None = "cpu") -> str:
    """The engine for a collection of this size: of those that fit and are for so many rows the one for the fewest.

    Where none is for so many, as by cosine, the exact one. Engines on CUDA count where `device` names it, None: where
    there is one, which torch is asked only if such an engine would be chosen.
    """
    exact, *others = fitting(quantizer, way)
    most_rows = {exact: way.most_rows} | {name: ENGINES[name].most_rows for name in others}
    enough = [name for name, most in most_rows.items() if most >= max(1, rows)]
    for name in sorted(enough, key=most_rows.__getitem__):
        if name == exact or ENGINES[name].device == "cpu" or _is_cuda(device):
            return name
    return exact


def exact_on(
    device: "torch.device | str", quantizer: Quantizer, way: "CodeWay", codes: NDArray[np.uint8]
) -> ExactEngine:
    """The exact search over codes by a way: on a device where an engine of it does so, else that of the way itself."""
    kind = str(device).partition(":")[0]
    for engine in ENGINES.values():
        if engine.device == kind != "cpu" and issubclass(engine, ExactEngine) and engine.fits(quantizer, way):
            return engine.build(quantizer, codes, way.distance)
    return way.index(quantizer, codes)


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


def _is_cuda(device: str | None) -> bool:
    """Whether this is a CUDA device, or for None, whether there is one."""
    if device is not None:
        return device.partition(":")[0] == "cuda"
    import torch

    return torch.cuda.is_available()
