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

from dqh.evaluation.buckets import Buckets, split_ties
from dqh.evaluation.metrics import Normaliser, average_precision, can_hit

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
        """Average precision of each query, and whether it enters the mean.

        Args:
            buckets: as `arrange` returned them.
            cutoff: ranks that count, at least 1; None for all.

        Returns:
            (Q,) float64 and (Q,) bool.

        Raises:
            ValueError: the cutoff is below 1.
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
        "dlbhc": Convention(normaliser="hits", ties="order"),
        "hashnet": Convention(normaliser="hits", zero_hits="drop", ties="order"),
        "deephash_pytorch": Convention(normaliser="hits", ties="order"),
        "adsh": Convention(normaliser="relevant", ties="order"),
    }
)
"""Conventions by name.

`default`: expectation over ties, divided by min(k, relevant); a query without a hit counts 0.

`dlbhc`: kevinlin311tw/caffe-cvprw15, analysis/precision.m, the authors' code of the latent-binary network (Lin et al.
2015): divided by the hits within `top_k`, 0 where there is none, stable `sort`.

`hashnet`: thuml/HashNet, pytorch/src/test.py, `mean_average_precision`, and thulab/DeepHash,
DeepHash/evaluation/__init__.py, `get_mAPs`: divided by the hits within R, queries without a hit left out. The first
ranks by inner products of outputs that were not binarised, the second can: rank codes, or expect other numbers.

`deephash_pytorch`: swuxyj/DeepHash-pytorch, utils/tools.py, `CalcTopMap`, copied most widely: divided by the hits
within `topk`; queries without a hit are skipped in the sum but counted in the mean, so they count 0. Its `topK = -1`,
meant as no cutoff, cuts the last item off: a cutoff of N − 1 reproduces that.

`adsh`: jiangqy/ADSH-AAAI2018, ADSH_pytorch/utils/calc_hr.py, `calc_map`, in the form that the cross-modal and pairwise
methods of that family share: no cutoff, divided by all relevant items, 0 where there is none. Its `calc_topMap` divides
by the hits within `topk`, as `deephash_pytorch` does.
"""


def convention(name: str) -> Convention:
    """The convention of a name.

    Args:
        name: a key of `CONVENTIONS`.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in tuple(CONVENTIONS):  # also what has no hash
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, got {name!r}")
    return CONVENTIONS[name]
