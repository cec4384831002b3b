"""Which items are saved together: to one board, or by one user within one session.

Two items that people put side by side are related, whatever they look like (the source's candidates come from boards;
item-to-item collaborative filtering, Sarwar et al. 2001).

I items, G groups of saves.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.discovery.related.action_log import UNKNOWN, ActionLog
from dqh.discovery.related.item_rows import ItemRows

SESSION = 1800.0
"""Seconds between two saves of a user from which on they are of two sessions."""

LARGEST_GROUP = 200
"""Items of a group at most: who saves more at once has said little of which belong together."""

MOST = 100
"""Items kept beside one."""

SHRINK = 5.0
"""Saves that a similarity is shrunk by: once together is no proof (Bell and Koren 2007)."""


def groups_of(log: ActionLog, among: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group and item of each save, each pair once: boards of a user, and sessions where no board is named.

    Args:
        log: with U users.
        among: (U,) the users whose saves count; None for all.
    """
    saves = np.flatnonzero(log.saved if among is None else log.saved & among[log.users])
    order = saves[np.lexsort((log.times[saves], log.boards[saves], log.users[saves]))]
    users, boards, times = log.users[order], log.boards[order], log.times[order]
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (
        (users[1:] != users[:-1])
        | (boards[1:] != boards[:-1])
        | ((boards[1:] == UNKNOWN) & (times[1:] - times[:-1] >= SESSION))
    )
    groups = np.cumsum(is_new) - 1
    pairs = np.unique(np.stack([groups, log.items[order]], axis=1), axis=0).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def together_of(groups: NDArray[np.int64], items: NDArray[np.int64], *, count: int) -> ItemRows:
    """Of each item the `MOST` that are saved with it most, and two numbers of each: similarity, and in how many groups.

    The similarity of items of n_i and n_j groups, n_ij of them both, is n_ij / (√(n_i n_j) + `SHRINK`): the cosine of
    their columns of groups, smaller where little is known. Groups above `LARGEST_GROUP` count in n_i alone.

    Args:
        groups: of each pair of group and item, from 0, each pair once.
        items: likewise, 0 … I − 1.
        count: I.
    """
    from scipy import sparse  # slow to import

    sizes = np.bincount(groups) if len(groups) else np.zeros(0, np.int64)
    saves = np.bincount(items, minlength=count).astype(np.float64)
    kept = sizes[groups] <= LARGEST_GROUP
    shape = (len(sizes), count)
    table = sparse.csr_matrix((np.ones(int(kept.sum())), (groups[kept], items[kept])), shape=shape)
    both = (table.T @ table).tocsr()
    both.setdiag(0)
    both.eliminate_zeros()
    starts, columns, values = [0], [], []
    for item in range(count):
        others = both.indices[both.indptr[item] : both.indptr[item + 1]].astype(np.int64)
        numbers = both.data[both.indptr[item] : both.indptr[item + 1]]
        similarity = numbers / (np.sqrt(saves[item] * saves[others]) + SHRINK)
        best = np.sort(np.lexsort((others, -similarity))[:MOST])
        best = best[np.argsort(others[best])]
        columns.append(others[best])
        values.append(np.stack([similarity[best], numbers[best]], axis=1))
        starts.append(starts[-1] + len(best))
    return ItemRows(
        np.array(starts, np.int64),
        np.concatenate([*columns, np.empty(0, np.int64)]),
        np.concatenate([*values, np.empty((0, 2))]),
    )
