"""Centres to start from."""

from typing import Any

import numpy as np
import pytest

from dqh.clustering.code_starts import STARTS, drawn_codes


class Line:
    """Places on a line, by squared distance."""

    def __init__(self, places: list[float], weights: list[int] | None = None) -> None:
        self._places = np.array(places)
        self.weights = np.array(weights or [1] * len(places), np.uint32)

    def between(self, place: int, places: np.ndarray) -> np.ndarray:
        return (self._places[places] - self._places[place]) ** 2


@pytest.mark.parametrize("start", STARTS)
def test_all_are_distinct_and_the_seed_decides(start: Any) -> None:
    space = Line(list(range(12)), list(range(1, 13)))
    for count in (1, 5, 12):
        one, same, other = (
            drawn_codes(space, count, start=start, generator=np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)
        )
        assert len(set(one)) == count
        assert one == same
        assert count == 12 or one != other


@pytest.mark.parametrize("start", STARTS)
def test_the_first_is_drawn_by_weight(start: Any) -> None:
    """Weights 1 and 9: of 300 draws about 270 are the second; beyond 6 deviations of √(300 · .09) never."""
    space = Line([0, 1], [1, 9])
    draws = [drawn_codes(space, 1, start=start, generator=np.random.default_rng(seed))[0] for seed in range(300)]
    assert abs(sum(draws) - 270) < 6 * 27**0.5


@pytest.mark.parametrize("start", ["k-means++", "afk-mc2"])
def test_the_second_is_drawn_by_distance(start: Any) -> None:
    """From 0 the chances of 1 and 3 are 1 : 9, as of seeds whose first is 0; the chain is as good as there."""
    space = Line([0, 1, 3], [10**6, 1, 1])
    pairs = [drawn_codes(space, 2, start=start, generator=np.random.default_rng(seed)).tolist() for seed in range(300)]
    seconds = [second for first, second in pairs if first == 0]
    assert len(seconds) > 290
    assert abs(seconds.count(2) / len(seconds) - 0.9) < 0.1


def test_a_chain_that_meets_nothing_new_falls_back() -> None:
    """Ten million to one that no candidate is the second code, and still it is drawn."""
    space = Line([0, 0, 1e-9], [10**9, 10**9, 1])
    drawn = drawn_codes(space, 3, start="afk-mc2", generator=np.random.default_rng(0)).tolist()
    assert 2 in drawn
