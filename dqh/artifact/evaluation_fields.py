"""The fields of `training` and `metrics` of `artifact.json`, and what each must be: for those who write and who read.

All may be missing, as older versions had fewer, and others may be there, as younger ones may have more; what is known
is checked.
"""

from collections.abc import Mapping
from typing import Any

from dqh.ranking import RANKS
from dqh.schema import (
    HASH,
    Check,
    anything,
    integer,
    mapping,
    maybe,
    notes,
    number,
    one_of,
    record,
    sequence,
    text,
)

_COUNT, _ONE = integer(0), integer(1)
_SHARE = number(0, 1 + 1e-9)  # a mean of rounded values may be a little above 1
_SECONDS = number(0, 1e12)
_NUMBER = number(-1e300, 1e300)
_CUTOFFS = sequence(_ONE, different=True)

SEARCH: Mapping[str, Check] = {
    "pool": _ONE,
    "radius": maybe(_COUNT),
    "map_cutoffs": sequence(maybe(_ONE), different=True),
    "precision_cutoffs": _CUTOFFS,
    "recall_cutoffs": _CUTOFFS,
    "within": sequence(_COUNT, different=True),
    "convention": text(),
    "answers": _ONE,
    "timed_queries": _COUNT,
    "untrained_images": maybe(_ONE),
    "baselines": maybe(sequence(text(), different=True)),
}
"""How an artifact was evaluated: the ranges of `dqh.evaluation.Retrieval`; names it knows itself."""

TRAINING = notes(
    {
        "search": notes(SEARCH),
        "seed": integer(0, 2**64),
        **dict.fromkeys(("threads", "eval_batch_size", "devices"), _ONE),
        **dict.fromkeys(("epochs", "parameters"), _COUNT),
        "best_epoch": maybe(_COUNT),
        "best_score": maybe(_NUMBER),
        "chosen_by": maybe(text()),
        **dict.fromkeys(("seconds", "wall_seconds", "warm_up_seconds", "waiting_seconds"), maybe(_SECONDS)),
        "history": sequence(mapping(anything)),
    }
)
"""Facts about a training."""

CHOICE: Mapping[str, Check] = {
    "rank": one_of(*RANKS),
    "metric": text(r"[^\x00]+", "a text that is not empty"),
    "codes": _SHARE,
    "fine": _SHARE,
    "queries": _ONE,
    "items": _ONE,
    "pool": _ONE,
}
"""Of a `dqh.artifact.ranking_choice.RankingChoice`."""

RANKING = maybe(notes({"choice": maybe(record(CHOICE)), "reason": maybe(text())}))
"""What chose by what answers are ranked, or why nothing did."""

_RATIOS = ("mAP@", "P@", "recall@", "precision@", "average_precision@", "accuracy")

_PROTOCOL = notes(
    {
        **dict.fromkeys(("query", "database", "train", "validation", "skipped", "duplicates"), maybe(_COUNT)),
        **dict.fromkeys(("bits", "timed_answers"), _ONE),
        **dict.fromkeys(("pool", "radius"), maybe(_COUNT)),
        **dict.fromkeys(("data", "split", "method", "main", "convention", "feature_distance", "pool_rule"), text()),
        "split_sha256": HASH,
    }
)


def _row(value: Any, field: str) -> list[str]:
    """A row of the table: what is a share is in 0 … 1, the rest is finite, a text, yes or no, or missing."""
    if problems := record({"search": text()}, more=True)(value, field):
        return problems
    checks = {name: maybe(_SHARE) for name in value if name.startswith(_RATIOS)}
    checks |= {name: _NUMBER for name, cell in value.items() if name not in checks and type(cell) in (int, float)}
    return notes(checks)(value, field)


METRICS = maybe(notes({"protocol": _PROTOCOL, "accuracy": maybe(_SHARE), "rows": sequence(_row), "ranking": RANKING}))
"""The evaluation that followed the training; null before it."""
