"""By codes alone or coarse-to-fine: validation images choose how an artifact ranks where nobody says."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from dqh.artifact.ranking_choice import RankingChoice
from dqh.evaluation.retrieval import Retrieval, retrieve
from dqh.index.ways import main_way
from dqh.quantizers import Quantizer
from dqh.ranking.side import Side

QUERIES = 1_000
"""Most validation images that ask."""

ITEMS = 20_000
"""Most images that they search."""


class Ranked(NamedTuple):
    """The outcome: a choice, or the reason why there was nothing to choose by."""

    choice: RankingChoice | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `metrics.json` and the artifact."""
        return {"choice": None if self.choice is None else self.choice.to_json(), "reason": self.reason or None}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Ranked":
        """What `to_json` wrote."""
        choice = fields["choice"]
        return cls(None if choice is None else RankingChoice.from_json(choice), fields["reason"] or "")

    def __str__(self) -> str:
        if self.choice is None:
            return f"dqh search ranks by features, which no validation image chose: {self.reason}"
        by = "by codes alone" if self.choice.rank == "codes" else "coarse-to-fine"
        return f"dqh search ranks {by}, as validation images chose ({self.choice})"


def choose_ranking(
    query: Side, database: Side, *, quantizer: Quantizer, retrieval: Retrieval, device: torch.device
) -> Ranked:
    """Compare the mean average precision of both, over the same queries; the better one is chosen, codes if level.

    The validation images that ask are not in the database, and the first cutoff of mAP counts. Where one side has no
    image, or no order could matter, there is no choice but the reason.
    """
    if not len(query.codes) or not len(database.codes):
        return Ranked(None, "there are no validation images, or nothing for them to search")
    untimed = dataclasses.replace(retrieval, timed_queries=0, baselines=(), radius=None)
    results = retrieve(query, database, quantizer=quantizer, retrieval=untimed, device=device)
    by_codes, fine = (results.average_precision[name] for name in (main_way(quantizer).name, "coarse_to_fine"))
    kept = by_codes.kept | fine.kept  # where a convention leaves out queries that find nothing, those of one count as 0
    means = [
        float(np.where(scores.kept, scores.values, 0)[kept].mean()) if kept.any() else 0.0
        for scores in (by_codes, fine)
    ]
    if len(np.unique(np.concatenate([by_codes.values, fine.values]))) < 2:  # nothing, or all, is relevant to each
        return Ranked(None, f"{by_codes.metric} is {means[0]:g} for all {len(query.codes)} of them, whatever the order")
    return Ranked(
        RankingChoice(
            "codes" if means[0] >= means[1] else "fine",
            by_codes.metric,
            means[0],
            means[1],
            queries=len(query.codes),
            items=len(database.codes),
            pool=retrieval.pool,
        )
    )
