from collections.abc import Iterator

import pytest
import torch

from dqh.evaluation.conventions import Convention, Ties
from dqh.evaluation.measure import joined, measure, renamed
from dqh.evaluation.tally import Tally
from dqh.ranking.buckets import Buckets, split_ties


class Two:
    """A relevant item tied with another one, for two queries in chunks of one; in database order the other is first."""

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        for _ in range(2):
            tied = Buckets(torch.tensor([[2]]), torch.tensor([[1]]))
            yield split_ties(tied, "worst") if stable else tied


def tally(ties: Ties) -> Tally:
    return Tally(Convention(ties=ties), 2, map_cutoffs=(None, 1), precision_cutoffs=(1,), recall_cutoffs=())


@pytest.mark.parametrize(("ties", "score"), [("expected", 0.75), ("order", 0.5)])
def test_a_row_by_hand(ties: Ties, score: float) -> None:
    """At rank 1 it scores 1, at rank 2 it scores 1/2."""
    found = measure(Two(), "some", tally=tally(ties), costs={"candidates": 2})
    (row,) = found.rows
    assert (row["search"], row["mAP@all"], row["candidates"]) == ("some", score, 2)
    assert list(row) == ["search", "mAP@all", "mAP@1", "P@1", "candidates"]
    assert found.average_precision["some"].values.tolist() == [score, score]
    assert found.curves["some"]["precision_at_k"]["k"] == [1, 2]


def test_parts_are_joined_in_order() -> None:
    parts = [measure(Two(), name, tally=tally("expected"), costs={}) for name in ("one", "other")]
    both = joined(parts)
    assert [row["search"] for row in both.rows] == list(both.curves) == list(both.average_precision) == ["one", "other"]


def test_a_row_under_another_name_has_its_own_costs() -> None:
    found = measure(Two(), "one", tally=tally("expected"), costs={"query_ms": 1.0, "bytes_per_item": 4})
    (row,), curves, values = renamed(found, "one", "other", costs={"bytes_per_item": 8})
    assert row == {"search": "other", "mAP@all": 0.75, "mAP@1": 0.5, "P@1": 0.5, "bytes_per_item": 8}
    assert curves == {"other": found.curves["one"]}
    assert values["other"] is found.average_precision["one"]
