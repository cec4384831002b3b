"""What is known of a pair of a query and a candidate: what they look like, their categories, and what the log says.

m candidates of a query, I items of the log.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.log_counts import LogCounts
from dqh.discovery.related.looks import CATEGORY, VISUAL, Looks

COUNTS = ("item_rate", "pair_rate", "boards", "together")
"""Of the log.

- `item_rate`: log of the rate by which the candidate is saved beside anything, saves over expected views, drawn to the
  mean where little was seen.
- `pair_rate`: log of how much more that is beside this query.
- `boards`: log of 1 + the boards that the candidate was saved to.
- `together`: how alike query and candidate are by the boards that they are saved to together.

A candidate that the log does not have has the mean rate, and is on no board.
"""

FEATURES = (*VISUAL, *CATEGORY, *COUNTS)
"""All of them, in the order of the columns."""

SIGNS = {**dict.fromkeys(VISUAL, -1), **dict.fromkeys((*CATEGORY, *COUNTS), 1)}
"""Whether more (1) or less (−1) of a feature speaks for a candidate."""

_LEAST_RATE = 1e-6


def count_features(
    counts: LogCounts, item_rates: NDArray[np.float64], query: int, candidates: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(m, 4) float64, the columns of `COUNTS`.

    Args:
        counts: of a log.
        item_rates: (I,) `counts.item_rates`, which is not computed again for each query.
        query: item of the log; -1 where the log does not have it.
        candidates: (m,) likewise.
    """
    known = candidates >= 0
    places = np.where(known, candidates, 0)
    rate = np.full(len(candidates), counts.prior.mean)
    boards = np.zeros(len(candidates))
    if len(item_rates):
        rate = np.where(known, item_rates[places], rate)
        boards = np.where(known, counts.boards[places], 0.0)
    saves, views, _ = counts.beside.beside(query, candidates).T
    pair = counts.pair_prior.posterior(saves, views, rate)
    floor = max(counts.prior.mean, _LEAST_RATE) * _LEAST_RATE
    columns = [
        np.log(rate.clip(min=floor)),
        np.log(pair.clip(min=floor) / rate.clip(min=floor)),
        np.log1p(boards),
        counts.together.beside(query, candidates)[:, 0],
    ]
    return np.stack(columns, axis=1)


def index_features(looks: Looks, query: int, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m, 6) float64, the columns of `VISUAL` and `CATEGORY`, of images of an index."""
    return np.concatenate([looks.distances(query, candidates), looks.categories(query, candidates)], axis=1)
