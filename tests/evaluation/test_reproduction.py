import itertools
import json

import numpy as np
import pytest
import torch

from dqh.codes import hamming, pack, unpack
from dqh.evaluation.conventions import CONVENTIONS, Convention, convention
from dqh.evaluation.reproduction import bounds, extremes_of, reproduction
from dqh.index.orders.hamming import HammingOrder, hamming_buckets
from dqh.index.orders.tables import TableOrder
from dqh.quantizers import ProductQuantizer
from dqh.ranking.buckets import Buckets, split_ties
from dqh.ranking.side import Side

Outcome = tuple[float, bool]


def tie_bounds(buckets: Buckets, rules: Convention, *, cutoff: int | None = None) -> tuple[float, float]:
    return bounds([extremes_of(buckets, rules.normaliser, cutoff=cutoff)], rules)


def buckets_of(*queries: list[tuple[int, int]]) -> Buckets:
    """Of each query (items, relevant ones) by distance."""
    counts, relevant = torch.tensor(queries).unbind(2)
    return Buckets(counts.contiguous(), relevant.contiguous())


def outcomes(query: list[tuple[int, int]], rules: Convention, cutoff: int | None) -> set[Outcome]:
    """What every tie order of a query gives: its average precision, and whether it enters the mean."""
    total = sum(relevant for _, relevant in query)
    orders = [set(itertools.permutations([1] * relevant + [0] * (items - relevant))) for items, relevant in query]
    found = set()
    for parts in itertools.product(*orders):
        hits = [place for place, hit in enumerate(itertools.chain(*parts), start=1) if hit]
        hits = [place for place in hits if cutoff is None or place <= cutoff]
        divisor = {"hits": len(hits), "relevant": total, "min_k_relevant": min(total, cutoff or total)}
        score = sum((j + 1) / place for j, place in enumerate(hits)) / max(divisor[rules.normaliser], 1)
        found.add((score, bool(hits) or rules.zero_hits == "zero"))
    return found


def extreme_means(queries: list[list[tuple[int, int]]], rules: Convention, cutoff: int | None) -> tuple[float, float]:
    means = []
    for some in itertools.product(*(outcomes(query, rules, cutoff) for query in queries)):
        kept = [score for score, enters in some if enters]
        means.append(sum(kept) / max(len(kept), 1))
    return min(means), max(means)


def test_a_further_hit_can_lower_the_number_by_hand() -> None:
    """A hit at rank 1, then one relevant item among three, cutoff 3, divided by the hits.

    The second hit at rank 2: (1 + 2/2) / 2 = 1; at rank 3: (1 + 2/3) / 2 = 5/6; at rank 4, beyond the cutoff: 1/1 = 1.
    Relevant items last would say 1, and not 5/6.
    """
    tied, rules = buckets_of([(1, 1), (3, 1)]), convention("dlbhc")
    assert tie_bounds(tied, rules, cutoff=3) == pytest.approx((5 / 6, 1))
    assert rules.mean(*rules.average_precision(split_ties(tied, "worst"), cutoff=3)) == 1


def test_dropped_queries_by_hand() -> None:
    """Cutoff 2. Sure scores 1/2 and 1; a third query has its one relevant item at rank 1, 2 or 3: 1, 1/2 or dropped.

    Means: (1/2 + 1 + 1) / 3 = 5/6, (1/2 + 1 + 1/2) / 3 = 2/3, and dropped (1/2 + 1) / 2 = 3/4. Counted as 0 it could
    go down to (1/2 + 1 + 0) / 3 = 1/2.
    """
    tied = buckets_of([(1, 0), (1, 1), (1, 0)], [(1, 1), (1, 0), (1, 0)], [(3, 1), (0, 0), (0, 0)])
    assert tie_bounds(tied, CONVENTIONS["hashnet"], cutoff=2) == pytest.approx((2 / 3, 5 / 6))
    assert tie_bounds(tied, convention("dlbhc"), cutoff=2) == pytest.approx((1 / 2, 5 / 6))


@pytest.mark.parametrize("normaliser", ["min_k_relevant", "hits", "relevant"])
@pytest.mark.parametrize("zero_hits", ["zero", "drop"])
@pytest.mark.parametrize("cutoff", [None, 1, 2, 3, 5, 8, 100])
def test_enumeration_of_all_tie_orders(normaliser: str, zero_hits: str, cutoff: int | None) -> None:
    rules = Convention(normaliser=normaliser, zero_hits=zero_hits)
    generator = np.random.default_rng(7)
    for _ in range(12):
        queries = []
        for _ in range(3):
            items = generator.multinomial(8, [0.3, 0.1, 0.4, 0.2])
            relevant = generator.binomial(items, generator.choice([0, 0.3, 0.7]))
            queries.append(list(zip(items.tolist(), relevant.tolist(), strict=True)))
        found = tie_bounds(buckets_of(*queries), rules, cutoff=cutoff)
        assert found == pytest.approx(extreme_means(queries, rules, cutoff), abs=1e-12)


def test_no_relevant_item_and_no_tie() -> None:
    nothing, untied = buckets_of([(2, 0), (3, 0)]), buckets_of([(1, 0), (1, 1)])
    for rules in CONVENTIONS.values():
        assert tie_bounds(nothing, rules, cutoff=1) == (0, 0)
        assert tie_bounds(untied, rules) == (0.5, 0.5)


def experiment(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes of 10 bits and labels of 30 queries and 300 items; classes 6 and 7 of the queries are in no item."""
    generator = np.random.default_rng(seed)
    labels, items = generator.integers(0, 8, 30), np.sort(generator.integers(0, 6, 300))
    centres = generator.random((8, 10)) < 0.5
    query, database = (pack(centres[own] ^ (generator.random((len(own), 10)) < 0.3)) for own in (labels, items))
    return query, database, labels, items


def table(query, database, labels, items, cutoffs=(None, 20), **options) -> dict[str, dict]:
    sides = (Side(codes, codes, codes, own) for codes, own in ((query, labels), (database, items)))
    rows = reproduction(HammingOrder(*sides, bits=10, **options), cutoffs=cutoffs)
    return {row["convention"]: row for row in rows}


def test_the_rows_give_the_numbers_of_the_public_loops(device: str) -> None:
    query, database, labels, items = experiment()
    rows = table(query, database, labels, items, device=device)
    assert list(rows) == list(CONVENTIONS)
    assert json.loads(json.dumps(rows)) == rows
    distances, relevant = hamming(query, database), labels[:, None] == items
    for name in ("hashnet", "deephash_pytorch", "trec"):
        for cutoff in (None, 20):
            scores = []
            for row, own in zip(distances, relevant, strict=True):
                hits = np.flatnonzero(own[np.argsort(row, kind="stable")][:cutoff])
                if len(hits):
                    divisor = own.sum() if name == "trec" else len(hits)
                    scores.append((np.arange(1, len(hits) + 1) / (hits + 1)).sum() / divisor)
                elif name != "hashnet":
                    scores.append(0)
            assert rows[name][f"mAP@{cutoff or 'all'}"] == pytest.approx(np.mean(scores), abs=1e-12)
    assert (rows["trec"]["ties"], rows["trec"]["normaliser"]) == ("order", "relevant")
    assert rows["deephash_pytorch"]["aliases"] == ["dlbhc", "adsh", "fire", "orthohash"]


def test_the_ceiling_of_each_convention() -> None:
    """Relevant: 3 and 0 of 4 items. Within 2 ranks a perfect ranking finds 2: of 2 hits, of min(2, 3), of 3."""
    codes = np.zeros((4, 2), np.uint8)
    rows = table(codes[:2], codes, np.array([0, 9]), np.array([0, 0, 0, 1]), cutoffs=(2,))
    assert {name: row["mAP@2_ceiling"] for name, row in rows.items()} == pytest.approx(
        {"default": 1 / 2, "deephash_pytorch": 1 / 2, "hashnet": 1, "trec": 1 / 3}
    )


def test_the_order_of_the_database_moves_the_numbers_within_their_bounds() -> None:
    query, database, labels, items = experiment()
    before = table(query, database, labels, items)
    shuffled = np.random.default_rng(1).permutation(300)
    after = table(query, database[shuffled], labels, items[shuffled])
    for name, row in before.items():
        for metric in ("mAP@all", "mAP@20"):
            ends = [row[f"{metric}_{end}"] for end in ("low", "high")]
            assert ends == [after[name][f"{metric}_{end}"] for end in ("low", "high")]
            assert ends[1] - ends[0] > 0.05
            for each in (row, after[name]):
                assert ends[0] < each[metric] < ends[1]
        assert (row["mAP@all"] == after[name]["mAP@all"]) == (name == "default")


def test_several_labels_and_a_cutoff_beyond_the_database() -> None:
    query, database, labels, items = experiment()
    several = [np.eye(8, dtype=bool)[each] for each in (labels, items)]
    assert table(query, database, *several) == table(query, database, labels, items)
    for row in table(query, database, labels, items, cutoffs=(None, 5000)).values():
        assert row["mAP@5000"] == pytest.approx(row["mAP@all"])
        assert row["mAP@5000_low"] == row["mAP@all_low"]


def test_bounds_are_those_of_split_ties_where_these_hold() -> None:
    query, database, labels, items = experiment()
    tied = hamming_buckets(query, database, query_labels=labels, database_labels=items, bits=10)
    for normaliser in ("min_k_relevant", "relevant"):
        rules = Convention(normaliser=normaliser)
        for cutoff in (None, 7, 150):
            ends = [
                rules.mean(*rules.average_precision(split_ties(tied, tie), cutoff=cutoff)) for tie in ("worst", "best")
            ]
            assert tie_bounds(tied, rules, cutoff=cutoff) == pytest.approx(tuple(ends), abs=1e-12)


def test_bits_as_product_codes_give_the_same_numbers(device: str) -> None:
    """Ten subspaces of one dimension with the codewords 0 and 1: AQD of a query of bits is the Hamming distance."""
    query, database, labels, items = experiment()
    quantizer = ProductQuantizer.from_codebooks(np.tile(np.array([[[0], [1]]], np.float32), (10, 1, 1)))
    bits = [unpack(codes, 10).astype(np.float32) for codes in (query, database)]
    sides = [Side(quantizer.encode(each), each, each, own) for each, own in zip(bits, (labels, items), strict=True)]
    assert np.array_equal(sides[1].codes, database)
    found = reproduction(TableOrder(*sides, quantizer=quantizer, device=device), cutoffs=(None, 20))
    for row in found:
        wanted = table(query, database, labels, items)[row["convention"]]
        # the same fractions, summed in another grouping
        assert {**row} == {name: pytest.approx(v, abs=1e-12) if "@" in name else v for name, v in wanted.items()}


def test_mistakes() -> None:
    query, database, labels, items = experiment()
    with pytest.raises(ValueError, match="cutoff must be at least 1"):
        table(query, database, labels, items, cutoffs=(0,))
    with pytest.raises(ValueError, match="cutoff must be at least 1"):
        tie_bounds(buckets_of([(1, 1)]), CONVENTIONS["default"], cutoff=0)
    with pytest.raises(ValueError, match="query codes and labels must have the same number of rows"):
        table(query[:-1], database, labels, items)
