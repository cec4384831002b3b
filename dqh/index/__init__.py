"""Search: codes or features of a database in, the nearest items of a query out. The on-disk store is not here."""

from dqh.index.coarse_to_fine import exhaustive, rerank
from dqh.index.hamming import BinaryQuantizer, HammingIndex, RadiusHits

__all__ = ["BinaryQuantizer", "HammingIndex", "RadiusHits", "exhaustive", "rerank"]
