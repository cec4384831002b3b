import numpy as np
import pytest
import torch

from dqh.evaluation.conventions import Convention
from dqh.evaluation.tally import CURVE_CUTOFFS, CURVE_PERCENT, Tally
from dqh.ranking.buckets import Buckets


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
