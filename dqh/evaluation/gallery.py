"""Which queries a report shows: the best, the typical and the worst, with the pictures that were found for them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data import Prepared
from dqh.evaluation.report.grid import Grid, GridResult, GridRow
from dqh.ranking import Ranking
from dqh.ranking.side import Labels

RESULTS = 10
"""Answers shown with a query."""

_EACH = {"best": 3, "typical": 4, "worst": 3}


class Choice(NamedTuple):
    """A query to be shown: its position, its group, `best`, `typical` or `worst`, and its average precision."""

    position: int
    group: str
    score: float


def choose(scores: NDArray[np.float64], labels: Labels) -> list[Choice]:
    """Queries of the highest, the middle and the lowest (Q,) scores, of different classes where possible."""
    classes = labels if labels.ndim == 1 else np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    orders = {
        "best": np.argsort(-scores, kind="stable"),
        "worst": np.argsort(scores, kind="stable"),
        "typical": np.argsort(np.abs(scores - np.median(scores)), kind="stable"),
    }
    taken: set[int] = set()
    chosen: dict[str, list[Choice]] = {}
    for group, order in orders.items():
        free = [position for position in order.tolist() if position not in taken]
        if group == "worst":  # one of another class where nothing went wrong shows less than a second failure
            free = [position for position in free if scores[position] < 1] or free
        firsts = {int(classes[position]): position for position in reversed(free)}
        ranks = {position: rank for rank, position in enumerate(free)}
        different = sorted(firsts.values(), key=ranks.__getitem__)
        others = [position for position in free[: _EACH[group]] if position not in different]
        picked = [*different, *others][: _EACH[group]]
        taken |= set(picked)
        chosen[group] = [Choice(position, group, float(scores[position])) for position in picked]
    return [choice for group in _EACH for choice in chosen[group]]


def gallery(
    data: Prepared,
    choices: Sequence[Choice],
    *,
    query_rows: NDArray[np.int64],
    database_rows: NDArray[np.int64],
    answers: Ranking,
    metric: str,
) -> Grid:
    """Pictures of the chosen queries and of their answers, (Q, k) ids as positions in `database_rows`.

    Both kinds of rows are rows of the source; `metric` is the name of the score.
    """
    queries = query_rows[[choice.position for choice in choices]]
    answer_rows = database_rows[answers.ids]
    shown = np.unique(np.concatenate([queries, answer_rows.ravel()]))
    (batch,) = data.store.batches([shown], size=data.store.spec.size)
    images = dict(zip(batch.rows.tolist(), batch.images.numpy(), strict=True))
    ids, labels, names = data.source.ids, data.source.labels, data.source.class_names

    def label(row: int) -> str:
        return names[labels[row]] if labels.ndim == 1 else ", ".join(np.array(names)[labels[row]])

    def relevant(one: int, other: int) -> bool:
        return bool(labels[one] == labels[other]) if labels.ndim == 1 else bool((labels[one] & labels[other]).any())

    rows = []
    for choice, query, answer, distances in zip(
        choices, queries.tolist(), answer_rows.tolist(), answers.distances.tolist(), strict=True
    ):
        results = [
            GridResult(images.get(row), label(row), distance, relevant(query, row), str(ids[row]))
            for row, distance in zip(answer, distances, strict=True)
            if np.isfinite(distance)
        ]
        rows.append(
            GridRow(images.get(query), label(query), str(ids[query]), results, group=choice.group, score=choice.score)
        )
    selection = f"the best, the typical and the worst by average precision ({metric}), of different classes if possible"
    return Grid(rows, search="coarse_to_fine", unit="squared L2", selection=selection)
