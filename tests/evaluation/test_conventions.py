import numpy as np
import pytest
import torch

from dqh.codes import hamming, pack
from dqh.evaluation.conventions import ALIASES, CONVENTIONS, Convention, aliases, convention
from dqh.ranking.buckets import Buckets, group


def rankings(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hamming distances of 12 queries to 80 items, and relevance; some queries have few relevant items or none."""
    generator = np.random.default_rng(seed)
    codes = [pack(generator.random((count, 10)) < 0.4) for count in (12, 80)]
    chance = np.linspace(0, 0.3, 12)[:, None]
    return hamming(*codes), generator.random((12, 80)) < chance


def public_code(distances: np.ndarray, relevant: np.ndarray, k: int | None, name: str) -> float:
    """The loops of the public sources, in our words: rank stably, cut, average the precisions at the hits."""
    scores = []
    for row, own in zip(distances, relevant, strict=True):
        ranked = own[np.argsort(row, kind="stable")]
        hits = np.flatnonzero(ranked[:k])
        if len(hits) == 0:
            if name not in ("hashnet", "fire_old_eval"):
                scores.append(0.0)
            continue
        precisions = np.arange(1, len(hits) + 1) / (hits + 1)
        scores.append(precisions.sum() / (ranked.sum() if name in ("trec", "ranx") else len(hits)))
    return float(np.mean(scores))


def calc_top_map(distances: np.ndarray, relevant: np.ndarray, k: int) -> float:
    """What ADSH's `calc_topMap` computes, term by term: the mean of j / rank of the j-th hit, over all queries."""
    total = 0.0
    for row, own in zip(distances, relevant, strict=True):
        ranks = np.flatnonzero(own[np.argsort(row, kind="stable")][:k]) + 1
        if len(ranks):
            total += float(np.mean(np.linspace(1, len(ranks), len(ranks)) / ranks))
    return total / len(distances)


@pytest.mark.parametrize("cutoff", [5, 20, 80])
def test_adsh_at_a_cutoff_is_what_its_code_prints(cutoff: int) -> None:
    distances, relevant = rankings()
    rules = convention("adsh")
    buckets = group(torch.from_numpy(distances).int(), torch.from_numpy(relevant), stable=True)
    found = rules.mean(*rules.average_precision(buckets, cutoff=cutoff))
    assert found == pytest.approx(calc_top_map(distances, relevant, cutoff), abs=1e-13)


def test_one_rule_has_one_row_and_every_alias_leads_to_it() -> None:
    assert len(set(CONVENTIONS.values())) == len(CONVENTIONS)
    assert [name for name in ALIASES if convention(name) is convention("deephash_pytorch")] == [
        "dlbhc",
        "adsh",
        "fire",
        "orthohash",
    ]
    assert sorted(other for name in CONVENTIONS for other in aliases(name)) == sorted(ALIASES)


@pytest.mark.parametrize("name", [*ALIASES, *(name for name in CONVENTIONS if name != "default")])
@pytest.mark.parametrize("cutoff", [None, 5, 79])
def test_named_conventions_give_the_numbers_of_the_public_loops(name: str, cutoff: int | None) -> None:
    distances, relevant = rankings()
    rules = convention(name)
    assert rules.ties == "order"
    buckets = group(torch.from_numpy(distances).int(), torch.from_numpy(relevant), stable=True)
    found = rules.mean(*rules.average_precision(rules.arrange(buckets), cutoff=cutoff))
    assert found == pytest.approx(public_code(distances, relevant, cutoff, name), abs=1e-13)


def test_conventions_differ_on_the_same_codes() -> None:
    distances, relevant = rankings()
    keys, hits = torch.from_numpy(distances).int(), torch.from_numpy(relevant)
    found = {
        name: rules.mean(
            *rules.average_precision(rules.arrange(group(keys, hits, stable=rules.ties == "order")), cutoff=10)
        )
        for name, rules in CONVENTIONS.items()
    }
    assert found["hashnet"] > found["deephash_pytorch"] > found["trec"]


def test_zero_hits_by_hand() -> None:
    """Hit at rank 1; no relevant item; relevant item beyond the cutoff: 1, 0, 0, of which `drop` keeps the first."""
    counts = torch.tensor([[1, 2], [1, 2], [1, 2]])
    buckets = Buckets(counts, torch.tensor([[1, 0], [0, 0], [0, 2]]))
    zero, drop = Convention(), Convention(zero_hits="drop")
    assert zero.mean(*zero.average_precision(buckets, cutoff=1)) == pytest.approx(1 / 3)
    assert drop.mean(*drop.average_precision(buckets, cutoff=1)) == 1
    nothing = buckets.rows(1, 2)
    assert drop.mean(*drop.average_precision(nothing)) == 0


def test_best_and_worst_by_hand() -> None:
    """One relevant item among two tied: rank 1 scores 1, rank 2 scores 1/2, and their mean 3/4 is expected."""
    tied = Buckets(torch.tensor([[2]]), torch.tensor([[1]]))
    for ties, wanted in (("best", 1.0), ("worst", 0.5), ("expected", 0.75)):
        rules = Convention(ties=ties)
        assert rules.mean(*rules.average_precision(rules.arrange(tied))) == wanted


@pytest.mark.parametrize("field", ["normaliser", "zero_hits", "ties"])
def test_unknown_rules(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be one of .* got 'other'"):
        Convention(**{field: "other"})


def test_unknown_names() -> None:
    with pytest.raises(
        ValueError, match=r"convention must be one of default, deephash_pytorch, .* dlbhc, .* got 'dlbch'"
    ):
        convention("dlbch")
