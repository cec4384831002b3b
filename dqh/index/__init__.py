"""Search: codes or features of a database in, the nearest items of a query out. The on-disk store is not here."""

from typing import TYPE_CHECKING

from dqh.index.aqd import AQDIndex, CodebookQuantizer, Distance
from dqh.index.coarse_to_fine import exhaustive, rerank
from dqh.index.faiss_export import (
    empty_binary_flat,
    empty_binary_ivf,
    empty_ivfpq,
    empty_latent,
    index_ivfpq,
    index_pq,
)
from dqh.index.hamming import BinaryQuantizer, HammingIndex
from dqh.index.nearest import Nearest
from dqh.index.radius_hits import RadiusHits
from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.index.tables import decoded_norms, query_tables, table_distances

__all__ = [
    "AQDIndex",
    "BinaryQuantizer",
    "CodebookQuantizer",
    "Distance",
    "HammingIndex",
    "Nearest",
    "RadiusHits",
    "decoded_norms",
    "empty_binary_flat",
    "empty_binary_ivf",
    "empty_ivfpq",
    "empty_latent",
    "exhaustive",
    "index_ivfpq",
    "index_pq",
    "query_tables",
    "rerank",
    "table_distances",
]

__getattr__, __dir__ = lazily(__name__, {"tables": ("decoded_norms", "query_tables", "table_distances")}, __all__)
