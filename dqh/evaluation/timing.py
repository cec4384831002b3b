"""How long a way of searching takes, as a program does it: indexes on the CPU."""

import time

import numpy as np

from dqh.evaluation.tally import Row
from dqh.index.ways import Searcher
from dqh.ranking.side import Side

_BATCH = 1000


def times(search: Searcher, query: Side, *, timed: int) -> Row:
    """Times of a way of searching, after one call to warm up.

    Of more than 1,000 queries the first 1,000; at most `timed` of them, at least 1, one at a time.

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
