"""Both rankers by name, and what each is kept as."""

import numpy as np
import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.examination import Examination
from dqh.discovery.related.impressions import impressions_of
from dqh.discovery.related.lessons import Lessons, lessons_of
from dqh.discovery.related.looks import VISUAL, Looks
from dqh.discovery.related.pair_features import FEATURES, index_features
from dqh.discovery.related.rank_svm import RankSVM
from dqh.discovery.related.ranker import RANKERS, RankerName, fit_ranker, places_of, ranker_bytes, read_ranker
from dqh.tensors import write_arrays
from tests.discovery.related.conftest import Shop


@pytest.fixture(scope="module")
def lessons(shop: Shop) -> Lessons:
    log = read_action_log(shop.log)
    looks = Looks(shop.snapshot.version)
    image = [looks.images.numbers[name] for name in log.names]
    of = np.array(image)
    return lessons_of(
        log,
        impressions_of(log),
        Examination(1.0, None, ""),
        looks=lambda query, others: index_features(looks, int(of[query]), of[others]),
    )


@pytest.mark.parametrize("name", RANKERS)
@pytest.mark.parametrize("columns", [VISUAL, FEATURES])
def test_what_is_read_is_what_was_written(name: RankerName, columns: tuple[str, ...], lessons: Lessons) -> None:
    ranker = fit_ranker(name, lessons, columns)
    chosen = lessons.features[:, places_of(columns)]
    again = read_ranker(name, ranker_bytes(ranker), columns)
    np.testing.assert_array_equal(again.scores(chosen), ranker.scores(chosen))
    assert ranker_bytes(again) == ranker_bytes(ranker)
    near = chosen.copy()
    near[:, columns.index("feature_distance")] -= 1
    assert ranker.scores(near).mean() > ranker.scores(chosen).mean()


def test_places() -> None:
    assert places_of(["together", "code_distance"]) == [9, 0]


ONE = {"mean": np.zeros(4), "scale": np.ones(4), "weights": np.ones(4)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mean": np.zeros(4)}, "it holds mean, wanted mean, scale and weights"),
        (ONE | {"weights": np.ones(3)}, r"weights must be 4 finite float64, got float64 of shape \(3,\)"),
        (ONE | {"mean": np.zeros(4, np.float32)}, "mean must be 4 finite float64, got float32"),
        (ONE | {"weights": np.full(4, np.inf)}, "weights must be 4 finite"),
        (ONE | {"scale": np.zeros(4)}, "scale must be above 0"),
    ],
)
def test_arrays_that_are_none(arrays: dict[str, np.ndarray], message: str) -> None:
    assert isinstance(read_ranker("ranksvm", write_arrays(ONE), VISUAL), RankSVM)
    with pytest.raises(ValueError, match=message):
        read_ranker("ranksvm", write_arrays(arrays), VISUAL)


def test_no_arrays() -> None:
    with pytest.raises(ValueError, match="a header of"):
        read_ranker("ranksvm", b"pickle", VISUAL)
