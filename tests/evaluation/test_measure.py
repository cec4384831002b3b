from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

from dqh.evaluation.conventions import Convention, Ties
from dqh.evaluation.measure import CURVE_CUTOFFS, CURVE_PERCENT, Tally, joined, measure, renamed, tallied, times
from dqh.index.orders.order import Order
from dqh.index.ways import Candidates, ways_of
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking.buckets import Buckets, split_ties
from dqh.ranking.keys import ALL
from dqh.ranking.side import Side


class Two(Order):
    """A relevant item tied with another one, for two queries in chunks of one; in database order the other is first."""

    def __init__(self) -> None:
        """Of no sides."""

    def keys(self, rows: slice) -> torch.Tensor:
        raise AssertionError("nobody asks for them")

    def along(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[dict[str, Buckets]]:
        for _ in range(2):
            tied = Buckets(torch.tensor([[2]]), torch.tensor([[1]]))
            yield {"": split_ties(tied, "worst") if stable else tied, "best": split_ties(tied, "best")}


def tally(ties: Ties) -> Tally:
    return Tally(Convention(ties=ties), 2, map_cutoffs=(None, 1), precision_cutoffs=(1,), recall_cutoffs=())


@pytest.mark.parametrize(("ties", "score"), [("expected", 0.75), ("order", 0.5)])
def test_a_row_by_hand(ties: Ties, score: float) -> None:
    """At rank 1 it scores 1, at rank 2 it scores 1/2."""
    found = measure(Two(), "some", empty=partial(tally, ties), costs={"candidates": 2})
    (row,) = found.rows
    assert (row["search"], row["mAP@all"], row["candidates"]) == ("some", score, 2)
    assert list(row) == ["search", "mAP@all", "mAP@1", "P@1", "candidates"]
    assert found.average_precision["some"].values.tolist() == [score, score]
    assert found.curves["some"]["precision_at_k"]["k"] == [1, 2]


def test_what_comes_along_has_a_tally_of_its_own() -> None:
    """The relevant item first, for both queries."""
    tallies = tallied(Two(), "some", empty=partial(tally, "expected")).tallies
    assert {name: tally.row()["mAP@all"] for name, tally in tallies.items()} == {"some": 0.75, "best": 1.0}


def test_parts_are_joined_in_order() -> None:
    parts = [measure(Two(), name, empty=partial(tally, "expected"), costs={}) for name in ("one", "other")]
    both = joined(parts)
    assert [row["search"] for row in both.rows] == list(both.curves) == list(both.average_precision) == ["one", "other"]


def test_a_row_under_another_name_has_its_own_costs() -> None:
    found = measure(Two(), "one", empty=partial(tally, "expected"), costs={"query_ms": 1.0, "bytes_per_item": 4})
    (row,), curves, values = renamed(found, "one", "other", costs={"bytes_per_item": 8})
    assert row == {"search": "other", "mAP@all": 0.75, "mAP@1": 0.5, "P@1": 0.5, "bytes_per_item": 8}
    assert curves == {"other": found.curves["one"]}
    assert values["other"] is found.average_precision["one"]


def tally_of(*chunks: Buckets, size: int) -> Tally:
    tally = Tally(
        Convention(), size, map_cutoffs=(None, 2), precision_cutoffs=(1, 4, size + 1), recall_cutoffs=(2, size + 1)
    )
    for chunk in chunks:
        tally.add(chunk)
    return tally


ONE = Buckets(torch.tensor([[1, 1, 2]]), torch.tensor([[1, 0, 1]]))
NONE = Buckets(torch.tensor([[4]]), torch.tensor([[0]]))


def test_row_by_hand() -> None:
    """Query 1: a hit, a miss, then a hit and a miss tied; query 2: nothing relevant.

    AP of query 1: second hit at rank 3 (2/3) or 4 (2/4): (1 + 7/12) / 2 = 19/24; cutoff 2: 1 / min(2, 2) = 1/2.
    P@1 = 1, P@4 = 2/4, recall@2 = 1/2. Every mean halves.
    """
    assert tally_of(ONE, NONE, size=4).row() == pytest.approx(
        {"mAP@all": 19 / 48, "mAP@2": 0.25, "P@1": 0.5, "P@4": 0.25, "recall@2": 0.25}
    )


def test_average_precision_of_each_query() -> None:
    """Before the mean: 19/24 and 0, both kept; under `drop` the query without relevant items is not."""
    found = tally_of(ONE, NONE, size=4).average_precision(None)
    assert (found.metric, found.values.tolist(), found.kept.tolist()) == (
        "mAP@all",
        pytest.approx([19 / 24, 0]),
        [True] * 2,
    )
    dropping = Tally(Convention(zero_hits="drop"), 4, map_cutoffs=(2,), precision_cutoffs=(), recall_cutoffs=())
    dropping.add(ONE)
    dropping.add(NONE)
    assert dropping.average_precision(2).kept.tolist() == [True, False]


def test_curves_by_hand() -> None:
    """Precision at k counts query 2 as 0; against recall it is left out.

    Query 1 reaches recall 50 % at rank 1 and 100 % at the expected rank 2 + 1 · 3 / 2 = 3.5: precision 2 / 3.5.
    """
    curves = tally_of(ONE, NONE, size=4).curves()
    assert curves["precision_at_k"] == {"k": [1, 2], "precision": pytest.approx([0.5, 0.25])}
    assert curves["precision_recall"]["recall"] == [percent / 100 for percent in CURVE_PERCENT]
    assert curves["precision_recall"]["precision"] == pytest.approx([1.0] * 50 + [2 / 3.5] * 50)


def test_chunks_do_not_matter() -> None:
    generator = np.random.default_rng(0)
    counts = torch.from_numpy(generator.multinomial(1500, np.full(9, 1 / 9), size=20))
    relevant = torch.from_numpy(generator.integers(0, counts.numpy() + 1))
    whole = Buckets(counts, relevant)
    one = tally_of(whole, size=1500)
    many = tally_of(*(whole.rows(start, start + 3) for start in range(0, 20, 3)), size=1500)
    assert one.row() == many.row()
    assert one.curves() == many.curves()
    assert len(one.curves()["precision_at_k"]["k"]) == len(CURVE_CUTOFFS)


def test_nothing_relevant_at_all_counts_zero() -> None:
    tally = tally_of(NONE, size=4)
    assert set(tally.row().values()) == {0.0}
    assert set(tally.curves()["precision_recall"]["precision"]) == {0.0}


QUANTIZER = Threshold(20)
PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).random((4, 8, 5), dtype=np.float32))


def side(count: int, *, seed: int, quantizer: Quantizer) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, 20), dtype=np.float32)
    return Side(quantizer.encode(embedding), embedding, embedding[:, :6], np.zeros(count, np.int64))


@pytest.mark.parametrize("quantizer", [QUANTIZER, PRODUCT])
def test_times_of_each_way(quantizer: Quantizer) -> None:
    database, query = (side(n, seed=seed, quantizer=quantizer) for n, seed in ((50, 6), (3, 7)))
    for way in ways_of(quantizer):
        found = times(way.among(Candidates(9)).searcher(database, quantizer, k=5), query, timed=9)
        assert set(found) == {"query_ms", "qps"}
        assert all(value > 0 for value in found.values())
