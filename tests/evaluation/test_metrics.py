import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom
from sklearn.metrics import average_precision_score

from dqh.evaluation.metrics import (
    average_precision,
    average_precision_within,
    can_hit,
    hits_at,
    precision_at,
    precision_at_recall,
    precision_within,
    recall_at,
    recall_within,
)
from dqh.ranking.buckets import Buckets, group, split_ties

NORMALISERS = ("min_k_relevant", "hits", "relevant")
Groups = list[tuple[int, int]]


def buckets_of(*queries: Groups) -> Buckets:
    """Buckets of (items, relevant) pairs, padded with empty ones."""
    width = max(len(query) for query in queries)
    padded = [query + [(0, 0)] * (width - len(query)) for query in queries]
    both = torch.tensor(padded, dtype=torch.int64)
    return Buckets(both[..., 0].contiguous(), both[..., 1].contiguous())


def tie_orders(groups: Groups) -> Iterator[list[int]]:
    """Relevance by rank in every order of the items, ties permuted; all equally likely."""
    arrangements = (sorted(set(itertools.permutations([1] * r + [0] * (n - r)))) for n, r in groups)
    for parts in itertools.product(*arrangements):
        yield [hit for part in parts for hit in part]


def precision_sum(hits: list[int], cutoff: int | None) -> Fraction:
    return sum(
        (Fraction(sum(hits[: rank + 1]), rank + 1) for rank, hit in enumerate(hits[:cutoff]) if hit), start=Fraction(0)
    )


def plain_average_precision(hits: list[int], cutoff: int | None, normaliser: str) -> Fraction:
    within = sum(hits[:cutoff])
    divisor = {
        "hits": within,
        "relevant": sum(hits),
        "min_k_relevant": sum(hits) if cutoff is None else min(cutoff, sum(hits)),
    }[normaliser]
    return precision_sum(hits, cutoff) / divisor if within else Fraction(0)


def expected(groups: Groups, metric: Callable[[list[int]], Fraction]) -> float:
    values = [metric(order) for order in tie_orders(groups)]
    return float(sum(values) / len(values))


group_lists = st.lists(
    st.integers(0, 5).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1, max_size=3
).filter(lambda groups: sum(n for n, _ in groups) > 0)
cutoffs = st.one_of(st.none(), st.integers(1, 17))


def test_average_precision_by_hand() -> None:
    """Hits at ranks 1 and 3 of 4, no ties: precisions 1 and 2/3.

    All ranks: (1 + 2/3) / 2 = 5/6. Cutoff 2: the sum is 1; over min(2, 2) hits 1/2, over 1 hit 1, over 2 relevant 1/2.
    """
    ranked = buckets_of([(1, 1), (1, 0), (1, 1), (1, 0)])
    assert average_precision(ranked).item() == pytest.approx(5 / 6, abs=1e-15)
    at_2 = [average_precision(ranked, cutoff=2, normaliser=name).item() for name in NORMALISERS]
    assert at_2 == pytest.approx([0.5, 1, 0.5], abs=1e-15)
    assert average_precision(ranked, cutoff=1).item() == pytest.approx(1, abs=1e-15)


def test_expected_average_precision_by_hand() -> None:
    """One relevant among three tied: rank 1, 2 or 3, so (1 + 1/2 + 1/3) / 3 = 11/18.

    With cutoff 2 the third order has no hit: (1 + 1/2 + 0) / 3 = 1/2 under every normaliser.
    """
    tied = buckets_of([(3, 1)])
    assert average_precision(tied).item() == pytest.approx(11 / 18, abs=1e-15)
    for name in NORMALISERS:
        assert average_precision(tied, cutoff=2, normaliser=name).item() == pytest.approx(0.5, abs=1e-15)


@given(groups=group_lists, cutoff=cutoffs, normaliser=st.sampled_from(NORMALISERS))
def test_average_precision_equals_the_mean_over_tie_orders(groups: Groups, cutoff: int | None, normaliser: str) -> None:
    wanted = expected(groups, lambda hits: plain_average_precision(hits, cutoff, normaliser))
    found = average_precision(buckets_of(groups), cutoff=cutoff, normaliser=normaliser).item()
    assert found == pytest.approx(wanted, abs=1e-13)  # float64 against exact fractions


@given(groups=group_lists, cutoff=cutoffs, normaliser=st.sampled_from(NORMALISERS))
def test_expectation_lies_between_worst_and_best(groups: Groups, cutoff: int | None, normaliser: str) -> None:
    tied = buckets_of(groups)
    worst, middle, best = (
        average_precision(some, cutoff=cutoff, normaliser=normaliser).item()
        for some in (split_ties(tied, "worst"), tied, split_ties(tied, "best"))
    )
    values = [plain_average_precision(hits, cutoff, normaliser) for hits in tie_orders(groups)]
    if normaliser != "hits" or cutoff is None:  # else one more hit may lower it, as split_ties says
        assert best == pytest.approx(float(max(values)), abs=1e-13)
        assert worst == pytest.approx(float(min(values)), abs=1e-13)
    assert float(min(values)) - 1e-13 <= middle <= float(max(values)) + 1e-13


@given(groups=group_lists, cutoff=st.integers(1, 15))
def test_hits_equal_the_mean_over_tie_orders(groups: Groups, cutoff: int) -> None:
    size, relevant = sum(n for n, _ in groups), sum(r for _, r in groups)
    cutoff = min(cutoff, size)
    wanted = expected(groups, lambda hits: Fraction(sum(hits[:cutoff])))
    tied = buckets_of(groups)
    assert hits_at(tied, [cutoff]).item() == pytest.approx(wanted, abs=1e-13)
    assert precision_at(tied, [cutoff]).item() == pytest.approx(wanted / cutoff, abs=1e-13)
    assert recall_at(tied, [cutoff]).item() == pytest.approx(wanted / max(relevant, 1), abs=1e-13)
    assert can_hit(tied, cutoff=cutoff).item() == any(sum(hits[:cutoff]) for hits in tie_orders(groups))


@given(groups=group_lists, percent=st.integers(1, 100))
def test_precision_at_recall_uses_the_mean_rank_over_tie_orders(groups: Groups, percent: int) -> None:
    relevant = sum(r for _, r in groups)
    wanted = 0.0
    if relevant:
        h = ceil(Fraction(percent * relevant, 100))
        rank = expected(groups, lambda hits: Fraction([i for i, hit in enumerate(hits, 1) if hit][h - 1]))
        wanted = h / rank
    assert precision_at_recall(buckets_of(groups), [percent]).item() == pytest.approx(wanted, abs=1e-13)


@given(groups=group_lists, cutoff=cutoffs, normaliser=st.sampled_from(NORMALISERS))
def test_empty_buckets_and_other_queries_change_nothing(groups: Groups, cutoff: int | None, normaliser: str) -> None:
    alone = average_precision(buckets_of(groups), cutoff=cutoff, normaliser=normaliser)
    spread = [pair for each in groups for pair in ((0, 0), each, (0, 0))]
    size = sum(n for n, _ in groups)
    together = average_precision(buckets_of([(size, size)], spread), cutoff=cutoff, normaliser=normaliser)
    assert together[1].item() == pytest.approx(alone.item(), abs=1e-15)


@given(
    keys=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=12),
    cutoff=cutoffs,
    normaliser=st.sampled_from(NORMALISERS),
    order=st.randoms(use_true_random=False),
)
def test_relabelling_ids_changes_nothing(
    keys: list[tuple[int, bool]], cutoff: int | None, normaliser: str, order: object
) -> None:
    shuffled = list(keys)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        average_precision(
            group(
                torch.tensor([[key for key, _ in some]], dtype=torch.int32), torch.tensor([[hit for _, hit in some]])
            ),
            cutoff=cutoff,
            normaliser=normaliser,
        )
        for some in (keys, shuffled)
    )
    assert torch.equal(one, other)


def test_average_precision_equals_scikit_learn() -> None:
    """Without ties both sum the precisions at the hits over all relevant items."""
    generator = np.random.default_rng(0)
    relevant = generator.random((20, 300)) < 0.15
    keys = np.argsort(generator.random((20, 300)), axis=1).astype(np.int32)
    found = average_precision(group(torch.from_numpy(keys), torch.from_numpy(relevant)))
    wanted = [average_precision_score(hits, -key) for hits, key in zip(relevant, keys, strict=True)]
    assert found.numpy() == pytest.approx(wanted, abs=1e-13)


def test_deep_ranks_lose_no_digits() -> None:
    """One relevant item alone at rank 10^6 + 1 scores 1 / (10^6 + 1), to 1e-11 of itself."""
    assert average_precision(buckets_of([(10**6, 0), (1, 1)])).item() == pytest.approx(1 / (10**6 + 1), rel=1e-11)


def test_hits_in_a_large_cut_bucket_follow_the_hypergeometric_law() -> None:
    """20,000 tied items, 2,000 relevant, cutoff 500: given h hits, the first of equal items, in random order."""
    n, r, cutoff = 20_000, 2_000, 500
    h = np.arange(1, cutoff + 1)
    harmonic = (1 / h).sum()
    each = (harmonic + (h - 1) / (cutoff - 1) * (cutoff - harmonic)) / cutoff
    wanted = (hypergeom(n, r, cutoff).pmf(h) * each).sum()
    # scipy's probabilities are good to about 1e-11
    found = average_precision(buckets_of([(n, r)]), cutoff=cutoff, normaliser="hits").item()
    assert found == pytest.approx(wanted, rel=1e-9)


def test_precision_within_a_radius_by_hand() -> None:
    """Balls of radius 1: 3 items, 2 relevant; none at all, which counts 0; 4 items, none relevant."""
    histograms = buckets_of([(1, 1), (2, 1), (5, 0)], [(0, 0), (0, 0), (8, 8)], [(4, 0), (0, 0), (4, 2)])
    assert precision_within(histograms, 1).tolist() == pytest.approx([2 / 3, 0, 0])
    assert precision_within(histograms, 9).tolist() == pytest.approx([2 / 8, 1, 2 / 8])


def test_recall_and_average_precision_within_a_radius_by_hand() -> None:
    """Within 1 bit: a hit, then a hit tied with a miss, (1 + (2/2 + 2/3) / 2) / 2 = 11/12, of 2, 2 relevant; none at
    all; 4 misses. Within 9: the third finds its 2 last, among 4 tied ones behind 4 misses.
    """
    histograms = buckets_of([(1, 1), (2, 1), (5, 0)], [(0, 0), (0, 0), (8, 8)], [(4, 0), (0, 0), (4, 2)])
    assert recall_within(histograms, 1).tolist() == pytest.approx([1, 0, 0])
    assert recall_within(histograms, 9).tolist() == pytest.approx([1, 1, 1])
    assert average_precision_within(histograms, 1).tolist() == pytest.approx([11 / 12, 0, 0])
    pairs = [(a, b) for a in range(5, 9) for b in range(a + 1, 9)]
    last = np.mean([(1 / a + 2 / b) / 2 for a, b in pairs])
    assert average_precision_within(histograms, 9).tolist() == pytest.approx([11 / 12, 1, last])


@pytest.mark.parametrize("metric", [precision_within, recall_within, average_precision_within])
def test_a_radius_is_not_negative(metric) -> None:
    with pytest.raises(ValueError, match="radius must be at least 0 bits, got -1"):
        metric(buckets_of([(3, 0)]), -1)


def test_a_query_without_relevant_items_counts_zero() -> None:
    nothing = buckets_of([(3, 0), (2, 0)])
    for name in NORMALISERS:
        for cutoff in (None, 1, 4, 9):
            assert average_precision(nothing, cutoff=cutoff, normaliser=name).item() == 0
    assert recall_at(nothing, [1, 5]).tolist() == [[0, 0]]
    assert precision_at_recall(nothing, [1, 100]).tolist() == [[0, 0]]
    assert not can_hit(nothing).item()


def test_no_cutoffs_give_no_columns() -> None:
    assert precision_at(buckets_of([(3, 1)], [(3, 0)]), []).shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda some: average_precision(some, cutoff=0), "cutoff must be at least 1, or None for all ranks, got 0"),
        (lambda some: average_precision(some, normaliser="all"), "normaliser must be .* got 'all'"),
        (lambda some: precision_at(some, [1, 4, 0]), r"between 1 and 3, the database size, got \[4, 0\]"),
        (lambda some: precision_within(some, -1), "radius must be at least 0 bits, got -1"),
        (lambda some: precision_at_recall(some, [0, 50, 101]), r"between 1 and 100, got \[0, 101\]"),
    ],
)
def test_errors(call: Callable[[Buckets], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(buckets_of([(2, 1), (1, 0)]))
