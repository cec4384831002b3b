"""By what answers are ranked where nobody says: an artifact keeps what its validation images chose."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dqh.export.manifest import read_manifest
from dqh.ranking import RANKS, Rank


@dataclass(frozen=True)
class RankingChoice:
    """What chose, and over how many.

    Attributes:
        rank: the better one; codes where both are level, as they need no features.
        metric: that was compared, such as `mAP@all`.
        codes: its mean for codes alone, 0 … 1.
        fine: its mean for coarse-to-fine.
        queries: validation images that asked.
        items: that they searched.
        pool: candidates that were ranked by features, at least.
    """

    rank: Rank
    metric: str
    codes: float
    fine: float
    queries: int
    items: int
    pool: int

    def __str__(self) -> str:
        return (
            f"{self.queries:,} validation images among {self.items:,} images: {self.metric} {self.codes:.4f} by codes, "
            f"{self.fine:.4f} coarse-to-fine"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values; `RankingChoice.from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RankingChoice":
        """What `to_json` wrote.

        Raises:
            ValueError: a field is missing, or is not what it must be.
        """
        counts, means = ("queries", "items", "pool"), ("codes", "fine")
        if set(fields) != {"rank", "metric", *counts, *means} or fields["rank"] not in RANKS:
            raise ValueError(f"no choice of a ranking: {fields!r}")
        whole = all(type(fields[name]) is int and 0 < fields[name] < 2**40 for name in counts)
        finite = all(type(fields[name]) in (int, float) and math.isfinite(fields[name]) for name in means)
        if not (whole and finite and isinstance(fields["metric"], str)):
            raise ValueError(f"no choice of a ranking: {fields!r}")
        return cls(**fields)


def chosen_ranking(artifact: Path) -> RankingChoice | None:
    """What the validation images of an artifact chose; None where nothing was chosen, or by an older version.

    Raises:
        ArtifactError: the manifest is missing or damaged.
    """
    metrics = read_manifest(artifact).get("metrics")
    kept = metrics.get("ranking") if isinstance(metrics, dict) else None
    try:
        return RankingChoice.from_json(kept["choice"]) if isinstance(kept, dict) and kept.get("choice") else None
    except (ValueError, TypeError):
        return None
