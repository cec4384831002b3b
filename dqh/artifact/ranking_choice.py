"""By what answers are ranked where nobody says: an artifact keeps what its validation images chose."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dqh.artifact.evaluation_fields import CHOICE, METRICS
from dqh.artifact.lengths import of_length
from dqh.artifact.manifest import MANIFEST, read_manifest
from dqh.errors import ArtifactError
from dqh.ranking import Rank
from dqh.schema import record


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
        """What `to_json` wrote; `ValueError` where a field is missing, or is not what it must be."""
        if problems := record(CHOICE)(fields, "choice"):
            raise ValueError("; ".join(problems))
        return cls(**fields)


def chosen_ranking(artifact: Path, *, bits: int | None = None) -> RankingChoice | None:
    """What the validation images of an artifact chose; None where nothing was chosen, or by an older version.

    Args:
        artifact: its folder.
        bits: which of its lengths; None for the main one.

    Raises:
        ArtifactError: the manifest is missing or damaged, or what it says of the choice makes no sense.
    """
    metrics = of_length(artifact, read_manifest(artifact), bits).get("metrics")
    if problems := METRICS(metrics, "metrics"):
        raise ArtifactError(
            f"{artifact / MANIFEST} does not describe an artifact: {'; '.join(problems)}; export it again"
        )
    choice = ((metrics or {}).get("ranking") or {}).get("choice")
    return None if choice is None else RankingChoice.from_json(choice)
