"""Lloyd's iterations on distinct codes."""

import numpy as np

from dqh.clustering.code_iterations import iterate_codes


class Line:
    """Whole numbers by squared distance; centres are means rounded down, as codes would be."""

    def __init__(self, places: list[int], weights: list[int], start: list[int]) -> None:
        self._places, self._start = np.array(places, float), start
        self.weights = np.array(weights, np.uint32)

    def between(self, place: int, places: np.ndarray) -> np.ndarray:
        return (self._places[places] - self._places[place]) ** 2

    def centres_at(self, places: np.ndarray) -> np.ndarray:
        if self._start:
            places, self._start = np.array(self._start), []
        return self._places[places].copy()

    def nearest(self, centres: np.ndarray, last: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        between = (self._places[:, None] - centres) ** 2
        return between.argmin(axis=1).astype(np.int32), between.min(axis=1)

    def moved(self, centres: np.ndarray, labels: np.ndarray) -> np.ndarray:
        new = centres.copy()
        for owner in range(len(centres)):
            if (labels == owner).any():
                new[owner] = np.average(self._places[labels == owner], weights=self.weights[labels == owner])
        return new


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
