from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.index.coarse_to_fine import rerank
from dqh.native.device import feature_tensors
from dqh.native.device.feature_tensors import FeatureTensors
from dqh.ranking import Ranking

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((20, 5)).astype(np.float32)
QUERIES = RNG.standard_normal((3, 5)).astype(np.float32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 80),
    most=st.integers(0, 40),
    k=st.integers(1, 50),
    kind=st.sampled_from([np.float16, np.float32]),
)
def test_candidates_are_ranked_as_on_the_host(device: str, seed: int, size: int, most: int, k: int, kind: Any) -> None:
    """Whole numbers, whose distances are exact in every order of summing; some rows twice, some candidates missing."""
    generator = np.random.default_rng(seed)
    features = generator.integers(-3, 4, (30, size)).astype(kind)
    features[1::3] = features[0]
    queries = generator.integers(-3, 4, (4, size)).astype(np.float32)
    candidates = generator.integers(-1, 30, (4, most))
    wanted = rerank(
        Ranking(candidates, np.zeros(candidates.shape, np.float32)), queries, database_features=features, k=k
    )
    ids, distances = FeatureTensors(features, device=device).nearest(queries, candidates, k)
    assert ids.dtype == np.int64
    assert ids.tolist() == wanted.ids.tolist()
    assert distances.tolist() == wanted.distances.tolist()


def test_distances_are_summed_in_float32(device: str) -> None:
    """Off by the rounding of 500 sums at most."""
    features = RNG.standard_normal((40, 500)).astype(np.float16)
    query = RNG.standard_normal((1, 500)).astype(np.float32)
    ids, distances = FeatureTensors(features, device=device).nearest(query, np.arange(40)[None], 40)
    wanted = ((features[ids[0]].astype(np.float64) - query) ** 2).sum(axis=1)
    assert distances[0] == pytest.approx(wanted, rel=2e-6)


@pytest.mark.parametrize("values", [1, 8 * 3, 8 * 13, 8 * 200])
def test_parts_of_one_shape_round_alike(values: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal rows at any place among 101 candidates, which are compared one, 3, 13 or all at a time."""
    monkeypatch.setitem(feature_tensors._VALUES, device, values)
    features = np.repeat(RNG.standard_normal((1, 7)).astype(np.float32), 101, axis=0)
    placed = FeatureTensors(features, device=device)
    ids, distances = placed.nearest(
        QUERIES[:, :1] * np.ones((1, 7), np.float32), np.tile(np.arange(101)[::-1], (3, 1)), 101
    )
    assert (distances == distances[:, :1]).all()
    assert (ids == np.arange(101)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"queries": QUERIES[:, :4]}, r"must have shapes \(Q, 5\) and \(Q, m\), got \(3, 4\) and \(3, 2\)"),
        ({"candidates": np.zeros((2, 2), np.int64)}, r"got \(3, 5\) and \(2, 2\)"),
        ({"candidates": np.full((3, 2), 20)}, "candidates must be rows of the 20 there are, or -1, got 20 to 20"),
        ({"candidates": np.full((3, 2), -2)}, "got -2 to -2"),
        ({"queries": QUERIES * np.float32(1e30)}, "must be finite, and squared distances within float32"),
        ({"queries": QUERIES + np.float32(np.nan)}, "must be finite"),
    ],
)
def test_what_does_not_fit(changed: dict[str, Any], message: str) -> None:
    given_ = {"queries": QUERIES, "candidates": np.zeros((3, 2), np.int64), "k": 1} | changed
    with pytest.raises(ValueError, match=message):
        FeatureTensors(FEATURES, device="cpu").nearest(**given_)
