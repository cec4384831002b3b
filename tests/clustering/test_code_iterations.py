"""Lloyd's iterations on distinct codes."""

import numpy as np

from dqh.clustering.code_iterations import iterate_codes
from dqh.clustering.code_sums import AssignedCodes, CodeSums, worst_codes


class Line(AssignedCodes):
    """Whole numbers up to 99 by squared distance; centres are their means."""

    def __init__(self, places: list[int], weights: list[int], start: list[int]) -> None:
        super().__init__(np.array(weights, np.uint32))
        self._places, self._start = np.array(places, float), start

    def between(self, place: int, places: np.ndarray) -> np.ndarray:
        return (self._places[places] - self._places[place]) ** 2

    def centres_at(self, places: np.ndarray) -> np.ndarray:
        if self._start:
            places, self._start = np.array(self._start), []
        return self._places[places].copy()

    def nearest(self, centres: np.ndarray, last: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        between = (self._places[:, None] - centres) ** 2
        return between.argmin(axis=1).astype(np.int32), between.min(axis=1)

    def parts(self, labels: np.ndarray, count: int) -> np.ndarray:
        """How many of each centre are each number."""
        numbers = np.zeros((count, 100), np.int64)
        np.add.at(numbers, (labels, self._places.astype(int)), self.weights)
        return numbers

    def error(self, centres: np.ndarray, sums: CodeSums) -> float:
        return float((sums.parts * (np.arange(100) - centres[:, None]) ** 2).sum())

    def moved(self, centres: np.ndarray, sums: CodeSums) -> np.ndarray:
        means = sums.parts @ np.arange(100) / np.maximum(sums.counts, 1)
        return np.where(sums.counts > 0, means, centres)


def run(space: Line, count: int, iterations: int = 10):
    return iterate_codes(space, count, start="random", iterations=iterations, generator=np.random.default_rng(0))


def test_iterations_by_hand() -> None:
    """From 0 and 1: {0}, {1, 9, 10 twice}; means 0 and 7.5: {0, 1}, {9, 10, 10}; means 0.5 and 29/3, which stay.

    Sums: 0 + 64 + 2·81, then 1 + 2.25 + 2·6.25, then .5 + 2/3.
    """
    clusters = run(Line([0, 1, 9, 10], [1, 1, 1, 2], [0, 1]), 2)
    np.testing.assert_allclose(clusters.history, np.array([226, 15.75, 7 / 6, 7 / 6]) / 5)
    np.testing.assert_allclose(clusters.centres, [0.5, 29 / 3])
    assert clusters.labels.tolist() == [0, 0, 1, 1]
    assert clusters.populations.tolist() == [2, 3]
    assert clusters.distortion == clusters.history[-1]


def test_a_centre_without_codes_goes_where_they_lie_worst() -> None:
    """Both centres at 0, the first has all: 4 is 16 away, three times, 6 is 36 away, once; the mean is 18/5."""
    clusters = run(Line([0, 4, 6], [1, 3, 1], [0, 0]), 2, iterations=1)
    np.testing.assert_allclose(clusters.centres, [18 / 5, 4])
    assert clusters.labels.tolist() == [0, 1, 1]


def test_equal_centres_of_equal_codes_end() -> None:
    """Nothing lies badly: the second centre stays empty."""
    clusters = run(Line([5], [3], [0, 0]), 2)
    assert clusters.populations.tolist() == [3, 0]
    assert clusters.distortion == 0


def test_the_worst_codes_come_from_the_worst_of_each_part() -> None:
    """Of equal errors the first, none that is 0; the four worst of all are among the four worst of two halves."""
    errors, places = np.array([1.0, 5, 0, 5, 2, 5, 0, 9]), np.arange(8)
    assert worst_codes(places, errors, 4).places.tolist() == [7, 1, 3, 5]
    halves = [worst_codes(places[part], errors[part], 4) for part in (slice(4), slice(4, 8))]
    assert [half.places.tolist() for half in halves] == [[1, 3, 0], [7, 5, 4]]
    joined = np.concatenate([half.places for half in halves])
    order = np.argsort(joined)
    assert worst_codes(joined[order], errors[joined[order]], 4).places.tolist() == [7, 1, 3, 5]
    assert worst_codes(places, errors, 100).errors.tolist() == [9, 5, 5, 5, 2, 1]
    assert worst_codes(places, errors, 0).places.tolist() == []
