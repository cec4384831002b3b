from dataclasses import replace

import numpy as np
import pytest
import torch

from dqh.codes import pack
from dqh.evaluation.rank_choice import Ranked, choose_ranking
from dqh.evaluation.retrieval import Retrieval
from dqh.quantizers import Threshold
from dqh.ranking.side import Side

CPU = torch.device("cpu")
SETTINGS = Retrieval(pool=4, precision_cutoffs=(1,), recall_cutoffs=(1,))


def side(codes: list[list[int]], features: list[float], labels: list[int]) -> Side:
    bits = np.array(codes, np.float32).reshape(-1, 2)
    return Side(pack(bits > 0), bits, np.array(features, np.float32)[:, None], np.array(labels))


DATABASE = side([[0, 0], [0, 1], [1, 1], [1, 1]], [5, 0, 4, 9], [0, 1, 0, 1])


def test_the_better_mean_chooses() -> None:
    """The query has code 00 and feature 4.5 or 0, label 0; the relevant items are rows 0 and 2.

    By codes, distances 0 1 2 2: row 0 is first, row 2 third or fourth: (1 + (2/3 + 2/4) / 2) / 2 = .7917. By features
    of 4.5 rows 0 and 2 are first (1.0), of 0 they are third and second: (1/2 + 2/3) / 2 = .5833.
    """
    for feature, rank, fine in ((4.5, "fine", 1.0), (0.0, "codes", 7 / 12)):
        query = side([[0, 0]], [feature], [0])
        choice = choose_ranking(query, DATABASE, quantizer=Threshold(2), retrieval=SETTINGS, device=CPU).choice
        assert choice is not None
        assert choice.rank == rank
        assert (choice.codes, choice.fine) == pytest.approx((19 / 24, fine))
        assert (choice.metric, choice.queries, choice.items, choice.pool) == ("mAP@all", 1, 4, 4)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (side([], [], []), "there are no validation images"),
        (side([[0, 0]], [4.5], [7]), "mAP@all is 0 for all 1 of them"),
    ],
)
def test_without_information_nothing_is_chosen(query: Side, text: str) -> None:
    found = choose_ranking(query, DATABASE, quantizer=Threshold(2), retrieval=SETTINGS, device=CPU)
    assert found.choice is None
    assert text in found.reason
    assert "no validation image chose" in str(found)
    assert Ranked.from_json(found.to_json()) == found


def test_to_find_what_the_other_does_not_is_no_disadvantage() -> None:
    """By `hashnet` queries that find nothing in the first place are left out, so that codes are right for all others.

    Both queries have code 00, so that codes put row 0 first, right for the first of them; by features both are right.
    """
    settings = replace(SETTINGS, convention="hashnet", map_cutoffs=(1,))
    query = side([[0, 0], [0, 0]], [4.5, 0.5], [0, 1])
    items = side([[0, 0], [1, 1]], [4.5, 0.5], [0, 1])
    choice = choose_ranking(query, items, quantizer=Threshold(2), retrieval=settings, device=CPU).choice
    assert choice is not None
    assert (choice.rank, choice.codes, choice.fine) == ("fine", 0.5, 1.0)


def test_level_means_choose_codes_and_survive_json() -> None:
    query = side([[0, 0]], [4.5], [0])
    items = side([[0, 0], [1, 1]], [4, 9], [0, 1])
    query_2 = side([[0, 0], [1, 1]], [4.5, 0], [0, 1])
    found = choose_ranking(query_2, items, quantizer=Threshold(2), retrieval=SETTINGS, device=CPU)
    assert found.choice is not None
    assert found.choice.rank == "codes"
    assert Ranked.from_json(found.to_json()) == found
    assert "ranks by codes alone" in str(found)
    same = choose_ranking(query, items, quantizer=Threshold(2), retrieval=SETTINGS, device=CPU)
    assert same.choice is None
