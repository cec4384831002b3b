"""What a log says of items and of pairs of them, as numbers that a model keeps.

I items of the log, P pairs of a query and an item that was shown beside it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.action_log import UNKNOWN, ActionLog
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.impressions import Impressions
from dqh.discovery.related.item_rows import ItemRows, item_rows, sums
from dqh.discovery.related.propensity import Prior, Rates, fit_prior, rates
from dqh.discovery.related.saved_together import groups_of, together_of


class LogCounts(NamedTuple):
    """Counts of a log.

    Attributes:
        shown_to: (I,) float64, users who were shown the item as a related one.
        saved_by: (I,) float64, those of them who saved it.
        saves: (I,) float64, shows that ended with a save.
        views: (I,) float64, expected views: the sum of the examination over its shows.
        squares: (I,) float64, the sum of its squares.
        boards: (I,) float64, boards or sessions that the item was saved in, whether it was shown or not.
        beside: P rows by query: saves, expected views and their squares of an item beside it.
        together: items that are saved with an item: see `dqh.discovery.related.saved_together`.
        prior: of the rate of items, saves over expected views.
        pair_prior: of the rate of a pair around that of its item; its mean is not used.
    """

    shown_to: NDArray[np.float64]
    saved_by: NDArray[np.float64]
    saves: NDArray[np.float64]
    views: NDArray[np.float64]
    squares: NDArray[np.float64]
    boards: NDArray[np.float64]
    beside: ItemRows
    together: ItemRows
    prior: Prior
    pair_prior: Prior

    @property
    def propensity(self) -> Rates:
        """(I,) save propensity as logged: users who saved it of those who were shown it."""
        return rates(self.saved_by, self.shown_to)

    @property
    def corrected(self) -> Rates:
        """(I,) saves over expected views."""
        return rates(self.saves, self.views, self.squares)

    @property
    def item_rates(self) -> NDArray[np.float64]:
        """(I,) the same, drawn to the mean of all where little was seen."""
        return self.prior.posterior(self.saves, self.views)


def count_log(
    shows: Impressions,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]],
    examination: Examination,
    *,
    items: int,
) -> LogCounts:
    """The counts of some shows, and of some groups of saves, see `dqh.discovery.related.saved_together.groups_of`.

    Args:
        shows: of items 0 … I − 1.
        groups: group and item of each save.
        examination: of the places of the shows.
        items: I.
    """
    examined = examination.probability(shows.positions)
    users = np.unique(shows.users * items + shows.items, return_inverse=True)
    of_pairs = sums(users[1], shows.saved, len(users[0])) > 0
    shown = users[0] % max(items, 1)
    saved = shows.saved.astype(np.float64)
    saves, views = (sums(shows.items, weights, items) for weights in (saved, examined))
    beside_some = shows.queries != UNKNOWN
    beside = item_rows(
        shows.queries[beside_some],
        shows.items[beside_some],
        np.stack([saved, examined, examined**2], axis=1)[beside_some],
        items=items,
    )
    squares = sums(shows.items, examined**2, items)
    prior = fit_prior(saves, views, squares)
    means = prior.posterior(saves, views)
    return LogCounts(
        shown_to=np.bincount(shown, minlength=items).astype(np.float64),
        saved_by=sums(shown, of_pairs, items),
        saves=saves,
        views=views,
        squares=squares,
        boards=np.bincount(groups[1], minlength=items).astype(np.float64),
        beside=beside,
        together=together_of(*groups, count=items),
        prior=prior,
        pair_prior=fit_prior(*_three(beside.values), means[beside.columns]),
    )


def _three(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The columns of (n, 3)."""
    return values[:, 0], values[:, 1], values[:, 2]


def count_all(log: ActionLog, shows: Impressions, examination: Examination) -> LogCounts:
    """The counts of a whole log and its shows."""
    return count_log(shows, groups_of(log), examination, items=len(log.names))
