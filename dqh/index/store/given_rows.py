"""How far rows of an index that somebody names are from a query, in the unit in which a search orders its answers.

m rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.encoded import Encoded
from dqh.index.coarse_to_fine import rerank
from dqh.index.store.header import require_encoder
from dqh.index.store.snapshot import Snapshot
from dqh.ranking import Rank, Ranking


def distances_to(snapshot: Snapshot, encoded: Encoded, ids: Sequence[int], *, rank: Rank) -> NDArray[np.float32]:
    """(m,) distances of rows from a query: squared L2 of features, or that of the way by codes.

    Args:
        snapshot: of the index.
        encoded: one query, of the encoder that the index was made with.
        ids: of m rows, each once.
        rank: `fine` for features, `codes` for codes.

    Raises:
        MismatchError: another encoder made the query.
        ValueError: an id is not in the index.
        StoreError: features of a row are damaged.
    """
    version = snapshot.version
    require_encoder(version.path, version.manifest.encoder_id, encoded.encoder_id, by="the query")
    wanted = np.array(ids, np.int64)
    rows = np.searchsorted(version.ids, wanted)
    if not len(wanted):
        return np.empty(0, np.float32)
    if not len(version) or (version.ids[rows.clip(max=len(version) - 1)] != wanted).any():
        raise ValueError(f"{version.path} has not all of these {len(wanted)} ids in version {version.manifest.version}")
    order = np.argsort(rows)
    if rank == "codes":
        engine = snapshot.way.index(version.quantizer, version.codes(rows[order]))
        near = engine.search(encoded.embedding, len(rows))
        places = order[near.ids[0]]
    else:
        candidates = Ranking(rows[order][None], np.zeros((1, len(rows)), np.float32))
        features: Any = version.features
        near = rerank(candidates, encoded.features.astype(np.float16), database_features=features, k=len(rows))
        places = order[np.searchsorted(rows[order], near.ids[0])]
    distances = np.empty(len(rows), np.float32)
    distances[places] = near.distances[0]
    return distances
