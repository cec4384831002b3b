import numpy as np
import pytest

from dqh.evaluation.bootstrap import bootstrap, paired_bootstrap
from dqh.evaluation.intervals import LEAST, LEVEL, RESAMPLES, SEED, intervals
from dqh.evaluation.tally import PerQuery


def per_query(values: list[float], kept: list[bool] | None = None, *, times: int = LEAST) -> PerQuery:
    """Each value so many times, so that there are enough queries."""
    return PerQuery("mAP@all", np.array(values * times), np.array((kept or [True] * len(values)) * times))


def test_rows_and_pairs() -> None:
    measured = {
        "binary": per_query([0.5, 1.0, 0.75]),
        "exhaustive": per_query([0.25, 0.5, 0.75]),
        "coarse_to_fine": per_query([1.0, 1.0, 0.7]),
        "untrained": per_query([0.0, 0.25, 0.5]),
    }
    found = intervals(measured)
    assert (found["metric"], found["level"], found["resamples"]) == ("mAP@all", LEVEL, RESAMPLES)
    assert [row["search"] for row in found["rows"]] == list(measured)
    assert [(pair["search"], pair["against"]) for pair in found["pairs"]] == [
        ("coarse_to_fine", "binary"),
        ("coarse_to_fine", "exhaustive"),
        ("binary", "exhaustive"),
        ("binary", "untrained"),
    ]
    assert found["pairs"][3]["value"] == pytest.approx((0.5 + 0.75 + 0.25) / 3)
    assert all(each["low"] <= each["value"] <= each["high"] for each in (*found["rows"], *found["pairs"]))


def test_a_row_of_some_queries_is_compared_on_these_alone() -> None:
    """Two of three queries: .5 and .75 of the codes there, .25 and .5 of the other row."""
    measured = {"binary": per_query([0.5, 1.0, 0.75]), "untrained": per_query([0.25, 0.5])}
    found = intervals(measured, counterparts={"untrained": per_query([0.5, 0.75])})
    (pair,) = found["pairs"]
    assert (pair["search"], pair["against"], pair["queries"]) == ("binary", "untrained", 2 * LEAST)
    assert pair["value"] == pair["low"] == pair["high"] == 0.25
    assert "queries" not in intervals({"binary": measured["binary"], "lsh": measured["binary"]})["pairs"][0]


def test_pairs_of_another_main_row() -> None:
    names = ("aqd_l2", "aqd_ip", "aqd_cosine", "sqd_l2", "embedding_ip", "exhaustive", "coarse_to_fine")
    measured = {name: per_query([0.5, 1.0]) for name in names}
    found = intervals(measured, main="aqd_l2")
    assert [(pair["search"], pair["against"]) for pair in found["pairs"]] == [
        ("coarse_to_fine", "aqd_l2"),
        ("coarse_to_fine", "exhaustive"),
        ("aqd_l2", "sqd_l2"),
        ("aqd_l2", "exhaustive"),
    ]


def test_rows_by_the_distance_of_the_main_row_are_compared() -> None:
    names = ("aqd_ip", "aqd_l2", "sqd_ip", "embedding_l2", "embedding_ip", "pq_embedding", "coarse_to_fine")
    found = intervals({name: per_query([0.5, 1.0]) for name in names}, main="aqd_ip")
    assert [(pair["search"], pair["against"]) for pair in found["pairs"]] == [
        ("coarse_to_fine", "aqd_ip"),
        ("aqd_ip", "sqd_ip"),
        ("aqd_ip", "embedding_ip"),
        ("aqd_ip", "pq_embedding"),
    ]


def test_what_a_convention_leaves_out_of_either_row_is_left_out() -> None:
    one, other = per_query([0.5, 1.0, 0.75], [True, True, False]), per_query([0.25, 0.5, 0.75], [False, True, True])
    found = intervals({"binary": one, "untrained": other})
    assert found["pairs"][0]["value"] == found["pairs"][0]["low"] == found["pairs"][0]["high"] == 0.5
    settings = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}
    assert found["rows"][0] == {"search": "binary"} | bootstrap(one.values, kept=one.kept, **settings)._asdict()
    both = np.array([False, True, False] * LEAST)
    assert found["pairs"][0]["value"] == paired_bootstrap(one.values, other.values, kept=both, **settings).value


@pytest.mark.parametrize(("count", "there"), [(1, False), (LEAST - 1, False), (LEAST, True)])
def test_few_queries_have_no_interval(count: int, there: bool) -> None:
    """Those that a convention leaves out do not count."""
    some = per_query([0.5, 1.0], [True, False], times=count)
    found = intervals({"binary": some, "untrained": per_query([0.25, 1.0], times=count)})
    assert found["least"] == LEAST
    of_binary, of_difference = found["rows"][0], found["pairs"][0]
    assert (of_binary["value"], of_difference["value"]) == (0.5, 0.25)
    for part, value in ((of_binary, 0.5), (of_difference, 0.25)):
        assert (part["low"], part["high"]) == ((value, value) if there else (None, None))
