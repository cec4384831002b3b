"""Retrieval metrics as pure functions of `Buckets`, in float64.

Where a cutoff falls inside a bucket the items of that bucket may come in any order; every metric here is the expected
value over all those orders, all equally likely. Other tie rules are other buckets: `split_ties` for the best and the
worst order, buckets of single items for the order of the database.

What a query without relevant items counts: 0 in average precision, precision and recall.

Q queries, N items of the database, R relevant ones of a query; of bucket t: n items, r relevant, N_t items and R_t
relevant ones before it, of which the first L = min(n, max(k − N_t, 0)) lie within the cutoff k. H: harmonic numbers.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dqh.ranking.buckets import Buckets

Normaliser = Literal["min_k_relevant", "hits", "relevant"]

_FRACTION_BITS = 58
_HITS_CHUNK = 2**20


def average_precision(
    buckets: Buckets, *, cutoff: int | None = None, normaliser: Normaliser = "min_k_relevant"
) -> Tensor:
    """Expected average precision of each query: the precisions at the ranks of its hits, summed and divided.

    Tie rule: expectation over all orders within each bucket, in closed form (McSherry and Najork 2008 give the case
    without a cutoff). A query without a relevant item, or without a hit within the cutoff, counts 0.

    Args:
        buckets: of Q queries.
        cutoff: k, ranks that count, at least 1; None, or more than there are, for all.
        normaliser: the denominator. `min_k_relevant`: the hits that the best ranking would have, min(k, R). `hits`:
            the hits that this ranking has within k. `relevant`: R, also beyond k. All three agree without a cutoff.

    Returns:
        (Q,) float64, between 0 and 1.

    Raises:
        ValueError: the cutoff is below 1, or the normaliser is unknown.

    Example:
        One relevant item tied with one other: at rank 1 it scores 1, at rank 2 it scores 1/2.

        >>> tied = Buckets(torch.tensor([[2]]), torch.tensor([[1]]))
        >>> average_precision(tied)
        tensor([0.7500], dtype=torch.float64)
    """
    _require_cutoff(cutoff)
    if normaliser not in ("min_k_relevant", "hits", "relevant"):
        raise ValueError(f"normaliser must be min_k_relevant, hits or relevant, got {normaliser!r}")
    terms = _terms(buckets, cutoff)
    # Σ_t (r / n) · [(R_t + 1) · S + (r − 1) / (n − 1) · T],  S = H(N_t + L) − H(N_t),  T = L − (N_t + 1) · S
    n, r = terms.counts.double(), terms.relevant.double()
    others = (r - 1) / (n - 1).clamp(min=1)
    term = (terms.relevant_before + 1) * terms.s + others * terms.t
    term = r / n.clamp(min=1) * term
    if normaliser == "hits" and cutoff is not None:
        return _divided_by_hits(terms, term)
    relevant = buckets.total_relevant
    if normaliser == "min_k_relevant" and cutoff is not None:
        relevant = relevant.clamp(max=cutoff)
    return term.sum(1) / relevant.clamp(min=1)


def can_hit(buckets: Buckets, *, cutoff: int | None = None) -> Tensor:
    """(Q,) bool: some tie order puts a relevant item within the cutoff."""
    _require_cutoff(cutoff)
    if cutoff is None:
        return buckets.total_relevant > 0
    before = buckets.counts_through - buckets.counts
    return ((before < cutoff) & (buckets.relevant > 0)).any(1)


def hits_at(buckets: Buckets, cutoffs: Sequence[int]) -> Tensor:
    """Expected number of relevant items among the first k.

    Args:
        buckets: of Q queries.
        cutoffs: the K values of k, each between 1 and the size of the database.

    Returns:
        (Q, K) float64.

    Raises:
        ValueError: a cutoff is out of range.
    """
    wrong = [k for k in cutoffs if not 1 <= k <= buckets.size]
    if wrong:
        raise ValueError(f"cutoffs must lie between 1 and {buckets.size}, the database size, got {wrong}")
    k = torch.tensor(list(cutoffs), dtype=torch.int64, device=buckets.counts.device).expand(len(buckets), -1)
    cut = torch.searchsorted(buckets.counts_through, k.contiguous())
    n, r = buckets.counts.gather(1, cut), buckets.relevant.gather(1, cut)
    before = buckets.counts_through.gather(1, cut) - n
    hits_before = buckets.relevant_through.gather(1, cut) - r
    return hits_before + r * (k - before) / n.double()


def precision_at(buckets: Buckets, cutoffs: Sequence[int]) -> Tensor:
    """Expected share of relevant items among the first k; denominator k, whatever the query could reach.

    Arguments, result and errors as for `hits_at`.
    """
    hits = hits_at(buckets, cutoffs)
    return hits / torch.tensor(list(cutoffs), dtype=torch.float64, device=hits.device)


def recall_at(buckets: Buckets, cutoffs: Sequence[int]) -> Tensor:
    """Expected share of a query's relevant items that are among the first k; 0 for a query that has none.

    Arguments, result and errors as for `hits_at`.
    """
    return hits_at(buckets, cutoffs) / buckets.total_relevant.clamp(min=1)[:, None]


def precision_within(buckets: Buckets, radius: int) -> Tensor:
    """Share of relevant items within a Hamming radius; 0 for a query that has no item there. No ties arise.

    Args:
        buckets: Hamming histograms, bucket t at distance t, as `hamming_buckets` makes them.
        radius: bits, at least 0; items at exactly this distance are included.

    Returns:
        (Q,) float64.

    Raises:
        ValueError: the radius is negative.
    """
    ball = _ball(buckets, radius)
    return ball.total_relevant / ball.counts.sum(1).clamp(min=1).double()


def recall_within(buckets: Buckets, radius: int) -> Tensor:
    """Share of a query's relevant items that lie within a Hamming radius; 0 for a query that has none. No ties arise.

    Arguments, result and errors as for `precision_within`.
    """
    return _ball(buckets, radius).total_relevant / buckets.total_relevant.clamp(min=1).double()


def average_precision_within(buckets: Buckets, radius: int) -> Tensor:
    """Expected average precision of the items within a Hamming radius, divided by the hits among them.

    The ball is whole, so that ties arise within it only. A query without a hit there counts 0. Arguments, result and
    errors as for `precision_within`.

    Example:
        A hit at 0 bits; at 2 bits a hit tied with a miss: (1 + (2/2 + 2/3) / 2) / 2 within 2 bits.

        >>> histogram = Buckets(torch.tensor([[1, 0, 2, 5]]), torch.tensor([[1, 0, 1, 1]]))
        >>> average_precision_within(histogram, 1), average_precision_within(histogram, 2)
        (tensor([1.], dtype=torch.float64), tensor([0.9167], dtype=torch.float64))
    """
    return average_precision(_ball(buckets, radius))


def _ball(buckets: Buckets, radius: int) -> Buckets:
    """The histograms up to a radius, bits."""
    if radius < 0:
        raise ValueError(f"radius must be at least 0 bits, got {radius}")
    return Buckets(buckets.counts[:, : radius + 1], buckets.relevant[:, : radius + 1])


def precision_at_recall(buckets: Buckets, percent: Sequence[int]) -> Tensor:
    """Precision at recall levels: h over the expected rank of the h-th relevant item, h = ⌈level · R⌉.

    The j-th of r relevant items among n in random order has the expected rank j · (n + 1) / (r + 1).

    Args:
        buckets: of Q queries.
        percent: the K levels of recall, whole percent, each between 1 and 100.

    Returns:
        (Q, K) float64; 0 for a query without relevant items.

    Raises:
        ValueError: a level is out of range.
    """
    wrong = [level for level in percent if not 1 <= level <= 100]
    if wrong:
        raise ValueError(f"percent must lie between 1 and 100, got {wrong}")
    levels = torch.tensor(list(percent), dtype=torch.int64, device=buckets.counts.device)
    wanted = torch.div(buckets.total_relevant[:, None] * levels + 99, 100, rounding_mode="floor").clamp(min=1)
    bucket = torch.searchsorted(buckets.relevant_through, wanted).clamp(max=buckets.counts.shape[1] - 1)
    n, r = buckets.counts.gather(1, bucket), buckets.relevant.gather(1, bucket)
    within = wanted - (buckets.relevant_through.gather(1, bucket) - r)
    rank = buckets.counts_through.gather(1, bucket) - n + within * (n + 1) / (r + 1).double()
    return torch.where(buckets.total_relevant[:, None] > 0, wanted / rank, 0.0)


def looked_up(table: Tensor, places: Tensor) -> Tensor:
    """`table[places]` of a one-dimensional table, several times faster on a CPU."""
    return table.index_select(0, places.reshape(-1)).view(places.shape)


class _Terms(NamedTuple):
    """Of every bucket, (Q, T): n, r, N_t, R_t, L as int64; S and T as float64."""

    counts: Tensor
    relevant: Tensor
    before: Tensor
    relevant_before: Tensor
    taken: Tensor
    s: Tensor
    t: Tensor


def _terms(buckets: Buckets, cutoff: int | None) -> _Terms:
    n, r = buckets.counts, buckets.relevant
    before = buckets.counts_through - n
    taken = n if cutoff is None else torch.minimum(n, (cutoff - before).clamp(min=0))
    harmonic = _harmonic(int(buckets.counts_through[:, -1].max()), n.device)
    s = (looked_up(harmonic, before + taken) - looked_up(harmonic, before)).double() * 2.0**-_FRACTION_BITS
    return _Terms(n, r, before, buckets.relevant_through - r, taken, s, taken - (before + 1) * s)


@lru_cache(maxsize=4)
def _harmonic(size: int, device: torch.device) -> Tensor:
    """(N + 1,) H(0) … H(N) as whole multiples of 2^-58: differences of far ones lose nothing to cancellation."""
    with torch.inference_mode(False):
        steps = torch.arange(1, size + 1, device=device)
        return torch.cat([steps.new_zeros(1), torch.div(2**_FRACTION_BITS, steps, rounding_mode="floor")]).cumsum(0)


def _divided_by_hits(terms: _Terms, term: Tensor) -> Tensor:
    """Average precision over the hits within the cutoff, whose number is random where the cutoff splits a bucket.

    Σ_h Hypergeometric(h; n, r, L) · [A + (h / L) · ((R_t + 1) · S + (h − 1) / (L − 1) · T)] / (R_t + h), with A the sum
    over the whole buckets before; h relevant items among the first L are in random order there.
    """
    whole = terms.taken == terms.counts
    sums = torch.where(whole, term, 0.0).sum(1)
    cut = (~whole & (terms.taken > 0)).int().argmax(1, keepdim=True)
    split = ~whole.gather(1, cut).squeeze(1)
    hits = torch.where(whole, terms.relevant, 0).sum(1)
    result = sums / hits.clamp(min=1)
    chosen = split.nonzero().squeeze(1)
    n, r, before_hits, taken, s, t = (
        values.gather(1, cut)[chosen]
        for values in (terms.counts, terms.relevant, terms.relevant_before, terms.taken, terms.s, terms.t)
    )
    step = max(1, _HITS_CHUNK // max(1, int(torch.minimum(r, taken).max()) + 1 if len(chosen) else 1))
    for start in range(0, len(chosen), step):
        at = slice(start, start + step)
        h, probability = _hypergeometric(n[at], r[at], taken=taken[at])
        share, others = h.double() / taken[at], (h - 1).double() / (taken[at] - 1).clamp(min=1)
        inside = share * ((before_hits[at] + 1) * s[at] + others * t[at])
        precision = (sums[chosen[at], None] + inside) / (before_hits[at] + h).clamp(min=1)
        result[chosen[at]] = (probability * precision).sum(1)
    return result


def _hypergeometric(n: Tensor, r: Tensor, *, taken: Tensor) -> tuple[Tensor, Tensor]:
    """Values h and their probabilities, both (q, W): relevant ones among `taken` of n items of which r are relevant.

    Ratios of neighbouring probabilities are summed as logarithms, and the whole is scaled to 1.
    """
    least, most = (taken - (n - r)).clamp(min=0), torch.minimum(r, taken)
    h = least + torch.arange(int((most - least).max()) + 1, device=n.device)
    up = (r - h + 1).clamp(min=1).double() * (taken - h + 1).clamp(min=1)
    down = h.clamp(min=1).double() * (n - r - taken + h).clamp(min=1)
    ratio = torch.log(up / down)
    ratio[:, 0] = 0
    logs = torch.where(h <= most, ratio.cumsum(1), -torch.inf)
    weights = torch.exp(logs - logs.max(1, keepdim=True).values)
    return h, weights / weights.sum(1, keepdim=True)


def _require_cutoff(cutoff: int | None) -> None:
    if cutoff is not None and cutoff < 1:
        raise ValueError(f"cutoff must be at least 1, or None for all ranks, got {cutoff}")
