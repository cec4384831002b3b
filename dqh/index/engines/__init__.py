"""Coarse engines behind one interface, one a file: exact scans, and approximate ones of faiss for large collections.

    hamming      exact, binary codes          aqd          exact, product-quantized codes
    binary_ivf   inverted lists, binary       ivfpq        inverted lists, product-quantized
    binary_hnsw  graph, binary                hnsw         graph, product-quantized

Each says what it fits, whether it is exact and up to how many rows it is chosen, and builds, saves and loads itself.
"""

from dqh.index.engines.choice import ENGINES, build, choose, exact_engine, fitting
from dqh.index.engines.engine import Engine, ExactEngine
from dqh.index.engines.faiss_engine import FaissEngine

__all__ = ["ENGINES", "Engine", "ExactEngine", "FaissEngine", "build", "choose", "exact_engine", "fitting"]
