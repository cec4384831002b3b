"""What related items of an item are answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

BY_LOG, BY_LOOKS = "the log and looks", "looks alone"


class Propensity(NamedTuple):
    """Save propensity of an item, users who saved it of those who were shown it, with its 95 % interval."""

    saved_by: int
    shown_to: int
    value: float
    low: float
    high: float


class RelatedItem(NamedTuple):
    """A related item.

    Attributes:
        id: of its row in the index.
        path: relative to the root of the index.
        labels: of it.
        score: by which items are ordered; comparable within a query alone.
        sources: where it came from as a candidate: `visual`, `object`, `together` or `shown`.
        features: what is known of the pair, by the names of `dqh.discovery.related.pair_features.FEATURES`; only what
            was read for the score.
        propensity: None where the log has not shown it.
    """

    id: int
    path: str
    labels: tuple[str, ...]
    score: float
    sources: tuple[str, ...]
    features: dict[str, float]
    propensity: Propensity | None


@dataclass(frozen=True)
class RelatedAnswer:
    """Related items of one item.

    Attributes:
        path: of the item, relative to the root; "" of an image from elsewhere.
        id: of its row; None likewise.
        items: the k best, best first; equal scores by distance of features.
        by: `BY_LOG`, or `BY_LOOKS` where the log does not have the item.
        candidates: how many were ranked.
        seconds: of each stage: candidates, features, ranking.
    """

    path: str
    id: int | None
    items: tuple[RelatedItem, ...]
    by: str
    candidates: int
    seconds: Mapping[str, float]
