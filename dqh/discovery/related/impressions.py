"""Which related items were shown to whom, and which of them were saved, out of a log.

L lines of the log, V shows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.action_log import UNKNOWN, ActionLog


class Impressions(NamedTuple):
    """The shows of a log, by rising time.

    Attributes:
        users: (V,) int64, numbers of users.
        queries: (V,) int64, the item beside which it was shown; `UNKNOWN` where the log does not say.
        items: (V,) int64, what was shown.
        positions: (V,) int64, from 1; 0 where the log does not say.
        saved: (V,) bool, whether that user saved it after this show, and before the next one of it.
        times: (V,) float64, seconds since 1970.
    """

    users: NDArray[np.int64]
    queries: NDArray[np.int64]
    items: NDArray[np.int64]
    positions: NDArray[np.int64]
    saved: NDArray[np.bool_]
    times: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.users)

    def where(self, chosen: NDArray[np.bool_]) -> "Impressions":
        """Those of a (V,) mask."""
        columns: list[Any] = [column[chosen] for column in self]
        return Impressions(*columns)


def impressions_of(log: ActionLog) -> Impressions:
    """The shows of a log; a save is of the last show before it of that item to that user, beside its query.

    A save that names no query is of the last show of the item beside anything; one without a show before it is none
    of a related item.
    """
    items = len(log.names)
    anywhere = log.users * items + log.items
    beside = np.unique(anywhere, return_inverse=True)[1] * (items + 1) + log.queries + 1  # which int64 holds
    saves = np.flatnonzero(log.saved)
    shows = np.where(log.queries == UNKNOWN, _last_shows(anywhere, log.saved), _last_shows(beside, log.saved))
    saved = np.zeros(len(log), np.bool_)
    of_saves = shows[saves]
    saved[of_saves[of_saves >= 0]] = True
    shown = ~log.saved
    return Impressions(
        log.users[shown], log.queries[shown], log.items[shown], log.positions[shown], saved[shown], log.times[shown]
    )


def _last_shows(keys: NDArray[np.int64], saved: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(L,) of each line the last show of its key up to there, -1 where there is none; lines are in order of time."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    places = np.arange(len(keys))
    is_first = np.ones(len(keys), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    starts = np.maximum.accumulate(np.where(is_first, places, 0))
    last = np.maximum.accumulate(np.where(saved[order], -1, places))
    out = np.empty(len(keys), np.int64)
    out[order] = np.where(last >= starts, order[last], -1)
    return out
