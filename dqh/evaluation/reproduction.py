"""The same codes under every named convention, each with the numbers that the best and the worst tie order would give.

What a published number is compared with: a convention fixes the denominator and what a query without a hit counts, but
leaves ties to a sort, so the bounds say how far the order of the database alone can move it.

Q queries, N database items; of bucket t: n items, r relevant, N_t items and R_t relevant ones before it. The bucket
that a cutoff k cuts has L = k − N_t places within it, which h of its relevant items may take; W values of h.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dqh.evaluation.conventions import CONVENTIONS, Convention, aliases
from dqh.evaluation.limits import relevant_first
from dqh.evaluation.metrics import looked_up
from dqh.index.orders.order import Asked, Order
from dqh.ranking.buckets import Buckets

_HITS_CHUNK = 2**20
"""Numbers of hits in the cut bucket that are tried at a time."""


def reproduction(order: Asked, *, cutoffs: Sequence[int | None] = (None, 1000)) -> list[dict[str, Any]]:
    """Mean average precision of a ranking under every convention of `CONVENTIONS`, with its tie bounds.

    Nothing of size Q × N is held. Most of the time goes into the passes that sort every query.

    Args:
        order: the ranking; the order of its database breaks ties where a convention leaves them to it.
        cutoffs: of mAP, each at least 1; None, or more than there are, for all ranks.

    Returns:
        A row of plain JSON values for each rule: `convention`, `aliases`, `ties`, `normaliser`, `zero_hits`, and for
        each cutoff `mAP@…`, the number of the convention, `mAP@…_low` and `mAP@…_high`, the least and the greatest over
        all tie orders of all queries, and `mAP@…_ceiling`, that of a ranking with all relevant items first.

    Raises:
        ValueError: a cutoff below 1.
    """
    asked = order.asked(InTies(tuple(cutoffs))) | order.asked(ByRow(tuple(cutoffs)))
    rows = []
    for name, rules in CONVENTIONS.items():
        row: dict[str, Any] = {"convention": name, "aliases": aliases(name), "ties": rules.ties}
        row |= {"normaliser": rules.normaliser, "zero_hits": rules.zero_hits}
        for cutoff in cutoffs:
            metric = "mAP@all" if cutoff is None else f"mAP@{cutoff}"
            ends = Extremes(*(asked[f"{rules.normaliser} {cutoff} {field}"] for field in Extremes._fields))
            low, high = bounds([ends], rules)
            row |= {metric: _mean(asked, f"{name} {cutoff}", rules), f"{metric}_low": low, f"{metric}_high": high}
            row[f"{metric}_ceiling"] = _mean(asked, f"best {name} {cutoff}", rules)
        rows.append(row)
    return rows


def _mean(asked: Mapping[str, Tensor], name: str, rules: Convention) -> float:
    return rules.mean(asked[name], asked[f"{name} kept"])


@dataclass(frozen=True)
class InTies:
    """Asks for average precision and its bounds by all conventions but those that break ties by row.

    By name: `CONVENTION CUTOFF` and, of a ranking with all relevant items first, `best CONVENTION CUTOFF`, (Q,)
    float64, each with ` kept` (Q,) bool; `NORMALISER CUTOFF FIELD`, the fields of `Extremes`.
    """

    cutoffs: tuple[int | None, ...]
    stable: ClassVar[bool] = False

    def __call__(self, order: Order, rows: slice) -> dict[str, Tensor]:
        """See `Question`."""
        parts = _Parts()
        normalisers = dict.fromkeys(rules.normaliser for rules in CONVENTIONS.values())
        for tied in order.buckets(rows=rows):
            perfect = relevant_first(tied.total_relevant.cpu().numpy(), tied.size)
            for cutoff in self.cutoffs:
                for name, rules in CONVENTIONS.items():
                    if rules.ties != "order":
                        parts.score(f"{name} {cutoff}", rules, rules.arrange(tied), cutoff)
                    parts.score(f"best {name} {cutoff}", rules, perfect, cutoff)
                for normaliser in normalisers:
                    for field, values in extremes_of(tied, normaliser, cutoff=cutoff)._asdict().items():
                        parts.add(f"{normaliser} {cutoff} {field}", values)
        return parts.joined()


@dataclass(frozen=True)
class ByRow:
    """Asks for average precision by the conventions that break ties by row, named as in `InTies`: one pass for all."""

    cutoffs: tuple[int | None, ...]
    stable: ClassVar[bool] = True

    def __call__(self, order: Order, rows: slice) -> dict[str, Tensor]:
        """See `Question`."""
        parts = _Parts()
        for untied in order.buckets(stable=True, rows=rows):
            for cutoff in self.cutoffs:
                for name, rules in CONVENTIONS.items():
                    if rules.ties == "order":
                        parts.score(f"{name} {cutoff}", rules, untied, cutoff)
        return parts.joined()


class _Parts:
    """Values of queries by name, chunk by chunk."""

    def __init__(self) -> None:
        self._parts: defaultdict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, values: Tensor) -> None:
        """Of further queries."""
        self._parts[name].append(values)

    def score(self, name: str, rules: Convention, buckets: Buckets, cutoff: int | None) -> None:
        """Average precision of further queries, and whether they enter the mean."""
        values, kept = rules.average_precision(buckets, cutoff=cutoff)
        self.add(name, values)
        self.add(f"{name} kept", kept)

    def joined(self) -> dict[str, Tensor]:
        """Of all queries."""
        return {name: torch.cat(values) for name, values in self._parts.items()}


def bounds(parts: Sequence["Extremes"], rules: Convention) -> tuple[float, float]:
    """The least and the greatest mean average precision over all queries that any order of tied items can give.

    Not simply relevant items last or first: divided by the hits within a cutoff, a further hit far down lowers the
    number, and where queries without a hit are dropped, a poor query may raise the mean by having none. So every
    number of hits that the cut bucket may have within the cutoff is tried, first in its places and last; and of the
    queries that an order can deprive of every hit, those are dropped whose loss moves the mean furthest.
    """
    extremes = Extremes(*map(torch.cat, zip(*parts, strict=True)))
    if rules.zero_hits == "zero":
        low = torch.where(extremes.certain, extremes.low, 0.0)
        high = torch.where(extremes.possible, extremes.high, 0.0)
        return float(low.cpu().numpy().mean()), float(high.cpu().numpy().mean())
    return _mean_of_some(extremes, extremes.low, highest=False), _mean_of_some(extremes, extremes.high, highest=True)


class Extremes(NamedTuple):
    """Average precision of each query over the tie orders that give it a hit.

    Attributes:
        low: (Q,) float64, the least; infinite where no order gives a hit.
        high: (Q,) float64, the greatest; minus infinity there.
        certain: (Q,) bool, every order gives a hit.
        possible: (Q,) bool, some order does.
    """

    low: Tensor
    high: Tensor
    certain: Tensor
    possible: Tensor


def extremes_of(buckets: Buckets, normaliser: str, *, cutoff: int | None) -> Extremes:
    """Of queries whose ties are not broken; `ValueError` for a cutoff below 1."""
    if cutoff is not None and cutoff < 1:
        raise ValueError(f"cutoff must be at least 1, or None for all ranks, got {cutoff}")
    cutoff = buckets.size if cutoff is None else min(cutoff, buckets.size)
    n, r = buckets.counts, buckets.relevant
    before, hits_before = buckets.counts_through - n, buckets.relevant_through - r
    taken = torch.minimum(n, (cutoff - before).clamp(min=0))
    whole = taken == n
    ranks = torch.arange(1, buckets.size + 1, dtype=torch.float64, device=n.device)
    harmonic = torch.cat([ranks.new_zeros(1), ranks.reciprocal()]).cumsum(0)

    def precisions(hits: Tensor, first: Tensor, earlier: Tensor) -> Tensor:
        # Σ_j (R + j) / (N + j), j = 1 … h: the precisions at h hits in a row, behind N items with R hits among them.
        steps = looked_up(harmonic, first + hits) - looked_up(harmonic, first)
        return hits - (first - earlier) * steps

    sums = [torch.where(whole, precisions(r, first, hits_before), 0.0).sum(1) for first in (before + n - r, before)]
    cut = (~whole & (taken > 0)).int().argmax(1, keepdim=True)
    places, relevant, items, first, earlier = (values.gather(1, cut) for values in (taken, r, n, before, hits_before))
    uncut = whole.gather(1, cut)  # the cutoff falls between two buckets: no hits beside those of the whole ones
    places, relevant, items = (values.masked_fill(uncut, 0) for values in (places, relevant, items))
    earlier = torch.where(uncut, torch.where(whole, r, 0).sum(1, keepdim=True), earlier)
    least, most = (places - (items - relevant)).clamp(min=0), torch.minimum(relevant, places)
    total = buckets.total_relevant[:, None]
    best = total if normaliser == "relevant" else total.clamp(max=cutoff)
    low, high = torch.full_like(sums[0], torch.inf), torch.full_like(sums[0], -torch.inf)
    width = int((most - least).max()) + 1
    for start in range(0, len(buckets), step := max(1, _HITS_CHUNK // width)):
        at = slice(start, start + step)
        h = torch.minimum(least[at] + torch.arange(width, device=n.device), most[at])
        hits_so_far = earlier[at] + h
        divisor = (hits_so_far if normaliser == "hits" else best[at]).clamp(min=1)
        last = precisions(h, first[at] + places[at] - h, earlier[at]) + sums[0][at, None]
        foremost = precisions(h, first[at], earlier[at]) + sums[1][at, None]
        low[at] = torch.where(hits_so_far > 0, last / divisor, torch.inf).amin(1)
        high[at] = torch.where(hits_so_far > 0, foremost / divisor, -torch.inf).amax(1)
    return Extremes(low, high, (earlier + least > 0).squeeze(1), (earlier + most > 0).squeeze(1))


def _mean_of_some(extremes: Extremes, values: Tensor, *, highest: bool) -> float:
    """The extreme mean over the queries with a certain hit and any of those with a possible one; 0 over none."""
    certain = values[extremes.certain].cpu().numpy()
    optional = np.sort(values[extremes.possible & ~extremes.certain].cpu().numpy())
    sums = certain.sum() + np.cumsum(np.concatenate([[0.0], optional[::-1] if highest else optional]))
    means = sums / np.maximum(len(certain) + np.arange(len(sums)), 1)
    return float(means.max() if highest else means.min())
