"""How sure the numbers of an evaluation are: bootstrap intervals of its rows, and of differences between them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dqh.evaluation.bootstrap import Interval, bootstrap, paired_bootstrap
from dqh.evaluation.tally import PerQuery
from dqh.index.ways import WAYS

LEVEL, RESAMPLES, SEED = 0.95, 2000, 0
LEAST = 10
"""Fewest queries of an interval: fewer, drawn again, say more of themselves than of others; one has length 0."""


def intervals(
    measured: Mapping[str, PerQuery],
    *,
    main: str = "binary",
    counterparts: Mapping[str, PerQuery] | None = None,
) -> dict[str, Any]:
    """Intervals over the queries, as they go into `metrics.json`.

    A difference is taken query by query, so that queries hard for both rows do not widen it; queries that a convention
    leaves out of either row are left out.

    Args:
        measured: by row, average precision of the same queries.
        main: the row of the codes alone.
        counterparts: by row that was measured on some queries and items, the average precision of the codes alone on
            the same ones; None for none.

    Returns:
        `metric`, `level`, `resamples`, `least` queries; `rows`: `search`, `value`, `low`, `high`, the last two None of
        fewer queries than that; `pairs`: `search`, `against` and the
        same of the difference of means: coarse-to-fine against its two halves, and codes against everything else but
        another distance between the same codes or embeddings; `queries` where these are not all.
    """
    settings: dict[str, Any] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}
    rows = [
        {"search": name}
        | _ends(bootstrap(scores.values, kept=scores.kept, **settings), queries=int(np.count_nonzero(scores.kept)))
        for name, scores in measured.items()
    ]
    first = [("coarse_to_fine", main), ("coarse_to_fine", "exhaustive")]
    others = [
        (main, name)
        for name in measured
        if name not in (main, "coarse_to_fine") and not by_another_distance(name, main)
    ]
    references = counterparts or {}

    def pair(one: str, other: str) -> dict[str, Any]:
        here, against = references.get(other, measured[one]), measured[other]
        kept = here.kept & against.kept
        interval = paired_bootstrap(here.values, against.values, kept=kept, **settings)
        ends = _ends(interval, queries=int(np.count_nonzero(kept)))
        return (
            {"search": one, "against": other} | ends | ({"queries": len(against.values)} if other in references else {})
        )

    pairs = [pair(one, other) for one, other in (*first, *others) if one in measured and other in measured]
    metric = next(iter(measured.values())).metric
    head = {"metric": metric, "level": LEVEL, "resamples": RESAMPLES, "least": LEAST}
    return head | {"rows": rows, "pairs": pairs}


def _ends(interval: Interval, *, queries: int) -> dict[str, float | None]:
    """The fields of an interval, without its ends where it has too few queries."""
    return {**interval._asdict(), **({} if queries >= LEAST else {"low": None, "high": None})}


def by_another_distance(name: str, main: str) -> bool:
    """Whether a row searches the codes or embeddings of the main one by another distance than it does."""
    way, own = WAYS.get(name), WAYS.get(main)
    return way is not None and own is not None and way.restates(own)
