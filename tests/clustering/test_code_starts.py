"""Centres to start from."""

from typing import Any

import numpy as np
import pytest

from dqh.clustering import code_starts as module
from dqh.clustering.binary_space import BinarySpace
from dqh.clustering.code_starts import STARTS, drawn_codes
from dqh.clustering.distinct_codes import distinct_codes


class Line:
    """Places on a line, by squared distance."""

    def __init__(self, places: list[float], weights: list[int] | None = None) -> None:
        self._places = np.array(places)
        self.weights = np.array(weights or [1] * len(places), np.uint32)

    def between(self, place: int, places: np.ndarray) -> np.ndarray:
        return (self._places[places] - self._places[place]) ** 2

    def to_nearest(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        return ((self._places[places][:, None] - self._places[others]) ** 2).min(axis=1)


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


@pytest.mark.parametrize("late", [1, 16, 100])
def test_chains_end_as_if_walked_from_their_start(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against Bachem et al. (2016), algorithm 1, step by step, with the same numbers drawn.

    Codes in groups, of which some are far: a chain that has come to one of those stays there for long.
    """
    monkeypatch.setattr(module, "LATE", late)
    monkeypatch.setattr(module, "_TOGETHER", 7)
    draws = np.random.default_rng(1)
    places = draws.integers(0, 4, 500) ** 4 + draws.random(500)
    weights = draws.integers(1, 5, 500)
    space = Line(places.tolist(), weights.tolist())
    for seed in range(5):
        generator = np.random.default_rng(seed)
        first = int(np.searchsorted(weights.cumsum(), generator.random() * weights.sum(), side="right"))
        errors = weights * space.between(first, np.arange(500))
        chances = (weights / weights.sum() + errors / errors.sum()) / 2
        seen = np.searchsorted(chances.cumsum(), generator.random((39, module.CHAIN)) * chances.sum())
        luck, drawn = generator.random((39, module.CHAIN)), [first]
        for chain, limits in zip(seen, luck, strict=True):
            values = weights[chain] * ((places[chain][:, None] - places[drawn]) ** 2).min(axis=1) / chances[chain]
            at = 0
            for step in range(1, module.CHAIN):
                if values[at] == 0 or values[step] / values[at] > limits[step]:
                    at = step
            drawn.append(int(chain[at]))
        starts = drawn_codes(space, 40, start="afk-mc2", generator=np.random.default_rng(seed))
        assert starts.tolist() == drawn


@pytest.mark.parametrize("bits", [24, 64, 300])
def test_bits_to_the_nearest(bits: int) -> None:
    """Codes of one word, and of more than the kernel for short ones takes."""
    codes = np.random.default_rng(0).integers(0, 256, (60, -(-bits // 8)), dtype=np.uint8)
    codes[:, -1] &= 2 ** (bits % 8 or 8) - 1
    space = BinarySpace(distinct_codes(codes), bits, "auto")
    places, others = np.arange(5, 60), np.array([3, 50, 7])
    wanted = np.min([space.between(other, places) for other in others], axis=0)
    assert space.to_nearest(places, others).tolist() == wanted.tolist()


def test_a_chain_that_meets_nothing_new_falls_back() -> None:
    """Ten million to one that no candidate is the second code, and still it is drawn."""
    space = Line([0, 0, 1e-9], [10**9, 10**9, 1])
    drawn = drawn_codes(space, 3, start="afk-mc2", generator=np.random.default_rng(0)).tolist()
    assert 2 in drawn
