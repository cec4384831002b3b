"""Coarse engines behind one interface, one a file: approximate ones of faiss for large collections.

    binary_ivf   inverted lists, binary       ivfpq        inverted lists, product-quantized
    binary_hnsw  graph, binary                hnsw         graph, product-quantized

Each says whose answers it approximates and up to how many rows it is chosen, and builds, saves and loads itself. The
exact engine of codes, which all others are measured against, is that of their way of searching, in `dqh.index.ways`.
"""

from dqh.index.engines.choice import ENGINES, build, choose, fitting
from dqh.index.engines.engine import Engine, ExactEngine
from dqh.index.engines.faiss_engine import FaissEngine

__all__ = ["ENGINES", "Engine", "ExactEngine", "FaissEngine", "build", "choose", "fitting"]
