"""How sure the numbers of an evaluation are: bootstrap intervals of its rows, and of differences between them."""

from collections.abc import Mapping
from typing import Any

from dqh.evaluation.bootstrap import bootstrap, paired_bootstrap
from dqh.evaluation.tally import PerQuery

LEVEL, RESAMPLES, SEED = 0.95, 2000, 0


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
        `metric`, `level`, `resamples`; `rows`: `search`, `value`, `low`, `high`; `pairs`: `search`, `against` and the
        same of the difference of means: coarse-to-fine against its two halves, and codes against everything else but
        another distance between the same codes or embeddings; `queries` where these are not all.
    """
    settings: dict[str, Any] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}
    rows = [
        {"search": name} | bootstrap(each.values, kept=each.kept, **settings)._asdict()
        for name, each in measured.items()
    ]
    first = [("coarse_to_fine", main), ("coarse_to_fine", "exhaustive")]
    others = [
        (main, name)
        for name in measured
        if name not in (main, "coarse_to_fine") and not by_another_distance(name, main)
    ]
    some = counterparts or {}

    def pair(one: str, other: str) -> dict[str, Any]:
        here, there = some.get(other, measured[one]), measured[other]
        found = paired_bootstrap(here.values, there.values, kept=here.kept & there.kept, **settings)._asdict()
        return {"search": one, "against": other} | found | ({"queries": len(there.values)} if other in some else {})

    pairs = [pair(one, other) for one, other in (*first, *others) if one in measured and other in measured]
    metric = next(iter(measured.values())).metric
    return {"metric": metric, "level": LEVEL, "resamples": RESAMPLES, "rows": rows, "pairs": pairs}


def by_another_distance(name: str, main: str) -> bool:
    """Whether a row searches the codes or embeddings of the main one, `aqd_…`, by another distance than it does."""
    kind, _, distance = name.partition("_")
    return kind in ("aqd", "embedding") and distance != main.partition("_")[2]
