import itertools
import warnings
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from dqh.evaluation.intervals import LEAST, LEVEL, RESAMPLES, SEED, Interval, bootstrap, intervals, paired_bootstrap
from dqh.evaluation.measure import PerQuery


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


def test_two_values_by_hand() -> None:
    """Of 0 and 1 the four resamples have the means 0, 1/2, 1/2, 1: no skew, so the ends are plain percentiles.

    Level .4 asks for those at .3 and .7, both 1/2; level .6 for those at .2 and .8, which are 0 and 1.
    """
    values = np.array([0.0, 1.0])
    assert bootstrap(values, level=0.4) == Interval(0.5, 0.5, 0.5)
    assert bootstrap(values, level=0.6) == Interval(0.5, 0.0, 1.0)


def test_a_skewed_case_by_hand() -> None:
    """Of 0, 0, 1 the 27 resamples have the means 0, 1/3, 2/3, 1 in 8, 12, 6, 1 cases.

    z0 = Φ⁻¹((8 + 6) / 27) = .0464; a = (6/27) / (6 · (2/3)^1.5) = .0680. Level .9 has z = ∓1.6449, which becomes
    .0464 − 1.5985 / 1.1087 = −1.395, share .081, mean 0, and .0464 + 1.6913 / .8850 = 1.957, share .975. That is above
    26/27 = .963, hence mean 1, where the plain percentile .95 is 2/3.
    """
    found = bootstrap(np.array([0.0, 0.0, 1.0]), level=0.9)
    assert found == pytest.approx((1 / 3, 0, 1))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_enumeration_of_all_resamples(level: float) -> None:
    """7⁷ resamples in closed form; 200,000 random ones place a share to ±.0045 (4 sd), and so the ends."""
    values = np.array([1.0, 0.99, 0.97, 0.9, 0.85, 0.6, 0.1])
    means = np.sort(np.array(list(itertools.product(values, repeat=7))).mean(axis=1))
    normal, mean = NormalDist(), values.mean()
    z0 = normal.inv_cdf((np.mean(means < mean) + np.mean(means <= mean)) / 2)
    jackknife = np.array([np.delete(values, place).mean() for place in range(7)])
    d = jackknife.mean() - jackknife
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    found = bootstrap(values, level=level, resamples=200_000)
    assert found.value == mean
    for end, tail in ((found.low, (1 - level) / 2), (found.high, (1 + level) / 2)):
        z = z0 + normal.inv_cdf(tail)
        share = normal.cdf(z0 + z / (1 - a * z))
        low, high = np.quantile(means, np.clip([share - 0.0045, share + 0.0045], 0, 1))
        assert low <= end <= high


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """600 sets of 60 skewed values of known mean at level .9.

    The share of hits has a standard deviation of √(.9 · .1 / 600) = .012; a tolerance of .05 is three of them and the
    error of the method at 60 values, which is of the order 1/60. Each side misses by .05 ± 3 · .009, or so.
    """
    generator = np.random.default_rng(1)
    share, inside, above, below = 0.3, 0, 0, 0
    true = 1 - share * 0.4  # a fraction of .3 scores uniformly between .2 and 1, the others 1
    for number in range(600):
        hard = generator.random(60) < share
        values = np.where(hard, generator.uniform(0.2, 1, 60), 1.0)
        _, low, high = bootstrap(values, level=0.9, resamples=400, seed=number)
        inside += low <= true <= high
        above += true > high
        below += true < low
    assert inside / 600 == pytest.approx(0.9, abs=0.05)
    assert above / 600 == pytest.approx(0.05, abs=0.035)
    assert below / 600 == pytest.approx(0.05, abs=0.035)


def digit_precisions(ink: int) -> NDArray[np.float64]:
    """(150,) average precision of digits whose bits are the pixels above `ink`, in Hamming order, ties by place."""
    images, labels = load_digits(return_X_y=True)
    bits = images > ink
    distances = (bits[:150, None] != bits[150:]).sum(axis=2)
    hits = labels[150:][np.argsort(distances, axis=1, kind="stable")] == labels[:150, None]
    precisions = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((hits * precisions).sum(axis=1) / hits.sum(axis=1))


def uniform(queries: int) -> NDArray[np.float64]:
    return np.random.default_rng(5).random(queries)


FROZEN: dict[str, tuple[Callable[[], Interval], tuple[float, float, float]]] = {
    "digits": (
        lambda: bootstrap(digit_precisions(7)),
        (0.5361378586007352, 0.5016457259498553, 0.5721719801183254),
    ),
    "another level, number of resamples and seed": (
        lambda: bootstrap(digit_precisions(12), level=0.8, resamples=500, seed=3),
        (0.4460097942491922, 0.4254858903892675, 0.4649124003441343),
    ),
    "paired": (
        lambda: paired_bootstrap(digit_precisions(7), digit_precisions(12)),
        (0.09012806435154296, 0.06659239131955821, 0.11375609626059847),
    ),
    "paired, of some queries": (
        lambda: paired_bootstrap(
            digit_precisions(12), digit_precisions(7), kept=digit_precisions(7) < 0.9, level=0.9, seed=7
        ),
        (-0.07863349773769854, -0.09776696656762793, -0.05995352418246664),
    ),
    "ten": (lambda: bootstrap(uniform(10) ** 4), (0.19694099103427545, 0.05893274480703216, 0.4957533635864481)),
    "ties": (lambda: bootstrap(np.round(uniform(200), 1)), (0.4915, 0.4515, 0.532)),
    "nearly all 1": (lambda: bootstrap(np.where(uniform(300) < 0.02, 0.25, 1.0)), (0.975, 0.955, 0.9875)),
    "3,000 skewed": (
        lambda: bootstrap(1 - uniform(3000) ** 6, level=0.99),
        (0.8567846924240525, 0.8451147494245548, 0.8685764134529927),
    ),
}


@pytest.mark.parametrize("name", FROZEN)
def test_intervals_of_earlier_reports(name: str) -> None:
    """Numbers that our own formulas gave, before scipy's took their place: the same draws, so the same ends.

    Of a mean the deviations are the jackknife; scipy leaves out one value at a time, which rounds otherwise.
    """
    interval, expected = FROZEN[name]
    assert interval() == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("queries", [2, 50, 3000])
def test_values_that_are_equal_up_to_rounding(queries: int) -> None:
    """.3 of one query came out as .1 + .2: no jackknife tells such values apart, and no warning is given."""
    values = np.full(queries, 0.3)
    values[0] = 0.1 + 0.2
    assert values[0] != values[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bootstrap(values) == pytest.approx((0.3, 0.3, 0.3), rel=1e-15)


def test_paired_rows_share_their_queries() -> None:
    """A row that is better by .01 on every query is better by .01 in every resample, however the queries vary."""
    other = np.random.default_rng(0).random(50) * 0.9
    assert paired_bootstrap(other + 0.01, other) == pytest.approx((0.01, 0.01, 0.01), abs=1e-12)
    noisy = other + np.random.default_rng(1).normal(0.02, 0.01, 50)
    paired, alone = paired_bootstrap(noisy, other), bootstrap(noisy)
    assert paired.low > 0
    assert paired.high - paired.low < (alone.high - alone.low) / 10
    back = paired_bootstrap(other, noisy)
    assert (back.low, back.high) == pytest.approx((-paired.high, -paired.low), abs=1e-12)


def test_queries_that_are_not_kept_count_nowhere() -> None:
    generator = np.random.default_rng(2)
    one, other, kept = generator.random(40), generator.random(40), generator.random(40) < 0.7
    assert bootstrap(one, kept=kept) == bootstrap(one[kept])
    assert paired_bootstrap(one, other, kept=kept) == paired_bootstrap(one[kept], other[kept])
    assert bootstrap(one, kept=np.zeros(40, bool)) == Interval(0, 0, 0)


def test_more_queries_and_another_seed() -> None:
    """√100 as narrow with 100 times the queries; another seed moves the ends by less than the interval is wide."""
    generator = np.random.default_rng(3)
    few, many = generator.beta(5, 1, 100), generator.beta(5, 1, 10_000)
    wide, narrow = bootstrap(few), bootstrap(many)
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(10, rel=0.3)
    other = bootstrap(few, seed=1)
    assert other != wide
    assert other.low == pytest.approx(wide.low, abs=0.1 * (wide.high - wide.low))
    assert bootstrap(few) == wide


def test_one_query_and_equal_queries() -> None:
    assert bootstrap(np.array([0.7])) == Interval(0.7, 0.7, 0.7)
    assert bootstrap(np.full(9, 0.1)) == pytest.approx((0.1, 0.1, 0.1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": np.array([[0.5]])}, r"values must be \(Q,\) finite numbers, got float64 of shape \(1, 1\)"),
        ({"values": np.array([0.5, np.nan])}, "values must be .* finite"),
        ({"kept": np.array([True])}, r"kept must be \(2,\) bool, got bool of shape \(1,\)"),
        ({"kept": np.array([1, 0])}, "kept must be .* got int64"),
        ({"level": 95}, "level must lie between 0 and 1, resamples at least 1, got 95 and 2000"),
        ({"resamples": 0}, "resamples at least 1"),
        ({"values": np.arange(9.0), "resamples": 1}, "resamples=1 are too few, all lie on one side of the mean 4.0"),
    ],
)
def test_mistakes(arguments: dict, message: str, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap(**({"values": np.array([0.5, 1.0])} | arguments))
    assert not recwarn.list


def test_rows_of_different_queries() -> None:
    with pytest.raises(ValueError, match=r"the same queries, got shapes \(2,\) and \(3,\)"):
        paired_bootstrap(np.zeros(2), np.zeros(3))
