"""Team-draft interleaving: two rankers judged by the people who see one list made of both.

Radlinski, Kurup and Joachims, How Does Clickthrough Data Reflect Retrieval Quality?, 2008, algorithm 2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.counts import require_counts


class Interleaved(NamedTuple):
    """One list out of two.

    Attributes:
        items: as they are shown.
        teams: of each the ranking that put it there: 0 or 1.
    """

    items: tuple[int, ...]
    teams: tuple[int, ...]


def team_draft(one: Sequence[int], other: Sequence[int], *, k: int, generator: np.random.Generator) -> Interleaved:
    """The first k places of two rankings, drafted as captains pick their teams.

    In turns of two, of which chance says who begins, each ranking adds its best item that is not in the list yet.

    Args:
        one: items of the first ranking, the best first, each once.
        other: likewise of the second.
        k: places, at least 1; fewer where both have run out.
        generator: of who begins.

    Raises:
        ValueError: k is below 1, or a ranking has an item twice.

    Example:
        >>> team_draft([1, 2], [1, 2], k=2, generator=np.random.default_rng(0)).items
        (1, 2)
    """
    rankings = (tuple(one), tuple(other))
    require_counts(k=k)
    if any(len(set(ranking)) < len(ranking) for ranking in rankings):
        raise ValueError("items must be different within a ranking, and one is there twice")
    items: list[int] = []
    teams: list[int] = []
    while len(items) < k:
        before = len(items)
        first = int(generator.integers(2))
        for team in (first, 1 - first):
            best = next((item for item in rankings[team] if item not in items), None)
            if best is not None and len(items) < k:
                items.append(best)
                teams.append(team)
        if len(items) == before:
            break
    return Interleaved(tuple(items), tuple(teams))


class Wins(NamedTuple):
    """Lists that each ranking won, and that neither did; and the chance of so uneven wins if both are as good."""

    one: int
    other: int
    ties: int
    p_value: float


def wins(saves: NDArray[np.int64]) -> Wins:
    """Which of two rankings people prefer: a list is won by the team that more of its saves fell on.

    Args:
        saves: (L, 2) saves of the items of each team, a row a list.

    Returns:
        Wins, with the p-value of the two-sided sign test; 1 where every list is a tie.
    """
    from scipy import stats  # slow to import

    one, other = int((saves[:, 0] > saves[:, 1]).sum()), int((saves[:, 1] > saves[:, 0]).sum())
    decided = one + other
    p_value = float(stats.binomtest(one, decided).pvalue) if decided else 1.0
    return Wins(one, other, len(saves) - decided, p_value)
