"""How long a way of searching takes, as a program does it: indexes on the CPU."""

import time

import numpy as np

from dqh.evaluation.tally import Row
from dqh.index.ways import Searcher
from dqh.ranking.side import Side

_BATCH = 1000


def times(search: Searcher, query: Side, *, timed: int) -> Row:
    """Times of a way of searching, after one call to warm up.

    Args:
        search: of a way, see `dqh.index.ways.Way.searcher`.
        query: the queries; of more than 1,000 the first 1,000.
        timed: queries that are timed alone, at most, at least 1.

    Returns:
        `query_ms`: median milliseconds of a query alone. `qps`: queries a second of all together.
    """
    embedding, features = query.embedding[:_BATCH], query.features[:_BATCH]
    spent = []
    search(embedding[:1], features[:1])
    for row in range(min(timed, len(embedding))):
        start = time.perf_counter()
        search(embedding[row : row + 1], features[row : row + 1])
        spent.append(time.perf_counter() - start)
    start = time.perf_counter()
    search(embedding, features)
    seconds = time.perf_counter() - start
    return {"query_ms": 1000 * float(np.median(spent)), "qps": len(embedding) / seconds}
