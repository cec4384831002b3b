"""Team-draft interleaving: by hand, and that it is fair."""

import numpy as np
import pytest
from scipy.stats import binomtest

from dqh.discovery.related.interleaving import team_draft, wins


def test_every_round_each_team_adds_its_best() -> None:
    """1 2 3 4 against 3 1 5 6: after two rounds 1 and 3 are in, then 2 and 5 or 5 and 2, whoever begins."""
    seen = set()
    for seed in range(40):
        drafted = team_draft([1, 2, 3, 4], [3, 1, 5, 6], k=4, generator=np.random.default_rng(seed))
        assert set(drafted.items[:2]) == {1, 3}
        assert set(drafted.items[2:]) == {2, 5}
        assert [sum(team == side for team in drafted.teams) for side in (0, 1)] == [2, 2]
        assert all((item in (1, 2)) == (team == 0) for item, team in zip(*drafted, strict=True))
        seen.add(drafted.items)
    assert len(seen) == 4


def test_equal_rankings_stay_as_they_are_and_share_the_places() -> None:
    generator = np.random.default_rng(0)
    firsts = 0
    for _ in range(2000):
        drafted = team_draft([7, 8, 9], [7, 8, 9], k=3, generator=generator)
        assert drafted.items == (7, 8, 9)
        firsts += drafted.teams[0]
    assert binomtest(firsts, 2000).pvalue > 0.001


def test_short_rankings() -> None:
    assert set(team_draft([1], [1, 2], k=9, generator=np.random.default_rng(0)).items) == {1, 2}
    assert team_draft([], [], k=2, generator=np.random.default_rng(0)).items == ()


@pytest.mark.parametrize(
    ("one", "k", "message"), [([1, 1], 2, "different within a ranking"), ([1], 0, "k must be a whole number from 1")]
)
def test_what_cannot_be(one: list[int], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        team_draft(one, [2], k=k, generator=np.random.default_rng(0))


def test_wins() -> None:
    told = wins(np.array([[2, 0], [1, 1], [0, 1], [0, 0], [3, 1]]))
    assert told[:3] == (2, 1, 2)
    assert told.p_value == pytest.approx(1.0)
    assert wins(np.zeros((4, 2), np.int64)) == (0, 0, 4, 1.0)
    assert wins(np.tile([1, 0], (10, 1))).p_value == pytest.approx(2 / 2**10)
