"""What the log says of a candidate, by hand, and of one that it does not have."""

from pathlib import Path

import numpy as np
import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.impressions import impressions_of
from dqh.discovery.related.log_counts import count_all
from dqh.discovery.related.looks import CATEGORY, VISUAL, Looks
from dqh.discovery.related.pair_features import COUNTS, FEATURES, SIGNS, count_features, index_features
from tests.discovery.related.conftest import Shop


def test_the_columns() -> None:
    assert (*VISUAL, *CATEGORY, *COUNTS) == FEATURES
    assert [SIGNS[name] for name in FEATURES] == [-1] * 4 + [1] * 6


def test_counts(tmp_path: Path) -> None:
    """b is saved at each show beside a, c at none; both are shown beside d too, and nobody saves there."""
    lines = []
    for number in range(40):
        lines += [f"u{number},{item},show,{number},{query},1" for query in "ad" for item in "bc"]
        lines.append(f"u{number},b,save,{number}.5,a,")
    (tmp_path / "log.csv").write_text("user,item,action,time,query,position\n" + "\n".join(lines) + "\n")
    log = read_action_log(tmp_path / "log.csv")
    counts = count_all(log, impressions_of(log), Examination(1.0, None, ""))
    place = {name: number for number, name in enumerate(log.names)}
    b, c, absent = count_features(counts, counts.item_rates, place["a"], np.array([place["b"], place["c"], -1]))
    spread, mean = counts.prior.spread, 0.25
    rate = mean * (1 + spread * 40) / (1 + spread * 80 * mean)
    assert b[0] == pytest.approx(np.log(rate))
    pair = rate * (1 + counts.pair_prior.spread * 40) / (1 + counts.pair_prior.spread * 40 * rate)
    assert b[1] == pytest.approx(np.log(pair / rate))
    assert b[1] > 0
    assert b[2] == pytest.approx(np.log1p(40))
    assert b[0] > absent[0] > c[0]
    assert absent.tolist() == [pytest.approx(np.log(0.25)), 0, 0, 0]


def test_an_absent_query_knows_nothing_of_pairs(shop: Shop, tmp_path: Path) -> None:
    log = read_action_log(shop.log)
    counts = count_all(log, impressions_of(log), Examination(1.0, None, ""))
    told = count_features(counts, counts.item_rates, -1, np.arange(5))
    assert (told[:, [1, 3]] == 0).all()
    assert np.isfinite(told).all()


def test_of_the_index(shop: Shop) -> None:
    looks = Looks(shop.snapshot.version)
    both = index_features(looks, 0, np.array([3, 5]))
    np.testing.assert_array_equal(both[:, :4], looks.distances(0, np.array([3, 5])))
    np.testing.assert_array_equal(both[:, 4:], looks.categories(0, np.array([3, 5])))
