"""The ways in which published code computes mean average precision, by name.

The same codes score up to four points apart under them, so a number without its convention says little. Sources are
public repositories, with the file that was read. All of them leave ties to the order in which the database stands:
MATLAB's `sort` is stable, and so this is exact there; numpy's `argsort` is not, and the nearest rule that gives the
same number twice is again the order of the database.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from torch import Tensor

from dqh.evaluation.metrics import Normaliser, average_precision, can_hit
from dqh.ranking.buckets import Buckets, split_ties

Ties = Literal["expected", "order", "best", "worst"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What average precision is divided by, what a query without a hit counts, and how ties are broken.

    Args:
        normaliser: `min_k_relevant`, `hits` or `relevant`, as in `average_precision`.
        zero_hits: a query without a relevant item within the cutoff counts 0 (`zero`), or is left out of the mean
            (`drop`); under expected ties it is left out where no order gives it a hit.
        ties: `expected`, the mean over all orders; `order`, by database row; `best` or `worst`, relevant items first
            or last among equals.

    Raises:
        ValueError: a field is none of these.
    """

    normaliser: Normaliser = "min_k_relevant"
    zero_hits: Literal["zero", "drop"] = "zero"
    ties: Ties = "expected"

    def __post_init__(self) -> None:
        for name, wanted in (
            ("normaliser", ("min_k_relevant", "hits", "relevant")),
            ("zero_hits", ("zero", "drop")),
            ("ties", ("expected", "order", "best", "worst")),
        ):
            if getattr(self, name) not in wanted:
                raise ValueError(f"{name} must be one of {', '.join(wanted)}, got {getattr(self, name)!r}")

    def arrange(self, buckets: Buckets) -> Buckets:
        """The buckets with their ties as this convention breaks them; `order` is up to whoever makes the buckets."""
        return split_ties(buckets, self.ties) if self.ties in ("best", "worst") else buckets

    def average_precision(self, buckets: Buckets, *, cutoff: int | None = None) -> tuple[Tensor, Tensor]:
        """Average precision of each query, (Q,) float64, and whether it enters the mean, (Q,) bool.

        Buckets are as `arrange` returned them; cutoff and errors as for `metrics.average_precision`.
        """
        kept = can_hit(buckets, cutoff=cutoff)
        values = average_precision(buckets, cutoff=cutoff, normaliser=self.normaliser)
        return values, kept if self.zero_hits == "drop" else kept.new_ones(len(kept))

    def mean(self, values: Tensor, kept: Tensor) -> float:
        """Mean over the queries that enter it; 0 where none does."""
        chosen = values[kept].cpu().numpy()
        return float(np.mean(chosen)) if len(chosen) else 0.0


CONVENTIONS = MappingProxyType(
    {
        "default": Convention(),
        "deephash_pytorch": Convention(normaliser="hits", ties="order"),
        "hashnet": Convention(normaliser="hits", zero_hits="drop", ties="order"),
        "trec": Convention(normaliser="relevant", ties="order"),
    }
)
"""Conventions by name, each rule once; `ALIASES` has what other code of the same rule is called.

With g(i) = 1 where the item at rank i is relevant, else 0, and P(i) the precision among the first i, each divides
Σ_{i ≤ k} g(i) P(i) of a query by a number of its own, and then takes the mean over queries.

`default`: by min(k, relevant), expectation over ties; a query without a hit counts 0.

`deephash_pytorch`: by the hits within k, Σ_{i ≤ k} g(i); a query without one counts 0 and stays in the mean.
swuxyj/DeepHash-pytorch, utils/tools.py, `CalcTopMap`, copied most widely (its `topK = -1`, meant as no cutoff, cuts the
last item off: a cutoff of N − 1 reproduces that). So do, k the cutoff,
    dlbhc      kevinlin311tw/caffe-cvprw15, analysis/precision.m, of Lin et al. 2015; stable `sort`
    adsh       jiangqy/ADSH-AAAI2018, ADSH_pytorch/utils/calc_hr.py, and the cross-modal and pairwise methods that copy
               it: `calc_topMap` takes tsum = Σ_{i ≤ topk} g(i), skips a query of tsum = 0, and adds
               mean_{j ≤ tsum}(j / rank of the j-th hit), all divided by `num_query`; `calc_map` is it of all ranks
    fire       CISiPLab/cisip-FIRe, functions/metrics.py, `calculate_mAP` (what it has for landmarks, `using_id`,
               divides by all relevant: `trec`)
    orthohash  kamwoh/orthohash, functions/hashing.py, `calculate_mAP`

`hashnet`: by the hits within k; queries without one are left out. thuml/HashNet, pytorch/src/test.py,
`mean_average_precision`, and thulab/DeepHash, DeepHash/evaluation/__init__.py, `get_mAPs`. Early revisions of the first
rank by inner products of tanh outputs, its head by codes, as here; the second can do either. So does
    fire_old_eval  FIRe with `old_eval`

`trec`: by all relevant items, those beyond k too; a query without a hit counts 0: `map_cut` of trec_eval. So does
    ranx       `map@k` of ranx
Compared on 6 random rankings of 300 items for 40 queries, some without a relevant item, without a cutoff and at 5, 50,
299 and 300, query by query. Without ties both give the same numbers to 2e-16 (pytrec-eval-terrier 0.5.11, ranx 0.3.21).
Among equal scores trec_eval puts the greater document name first: with names that descend along the database, so as to
make its order theirs, it does so with ties too. ranx's sort keeps no order of equal scores, whatever their names: a
query was up to .08 off, the mean .005.
"""

ALIASES = MappingProxyType(
    {
        "dlbhc": "deephash_pytorch",
        "adsh": "deephash_pytorch",
        "fire": "deephash_pytorch",
        "orthohash": "deephash_pytorch",
        "fire_old_eval": "hashnet",
        "ranx": "trec",
    }
)
"""Name → the one of `CONVENTIONS` that gives the same numbers."""


def convention(name: str) -> Convention:
    """The convention of a name, a key of `CONVENTIONS` or `ALIASES`; `ValueError` where there is none of that name."""
    if name not in (names := (*CONVENTIONS, *ALIASES)):  # also what has no hash
        raise ValueError(f"convention must be one of {', '.join(names)}, got {name!r}")
    return CONVENTIONS[ALIASES.get(name, name)]


def aliases(name: str) -> list[str]:
    """What else the rule of a name is called.

    Example:
        >>> aliases("hashnet")
        ['fire_old_eval']
    """
    return [other for other, meant in ALIASES.items() if meant == name]
