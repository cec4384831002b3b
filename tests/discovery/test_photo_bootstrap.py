import numpy as np
import pytest

from dqh.discovery.dot_curve import dot_curve
from dqh.discovery.photo_bootstrap import photo_bootstrap


def test_photos_are_drawn_whole() -> None:
    """The ten dots of a photo are alike: drawn one by one they would vary the mean √10 times less than whole photos."""
    photos = np.repeat(np.arange(40), 10)
    right = np.repeat(np.random.default_rng(0).random(40) < 0.5, 10)
    whole = photo_bootstrap(lambda rows: float(right[rows].mean()), photos, resamples=500)
    single = photo_bootstrap(lambda rows: float(right[rows].mean()), np.arange(400), resamples=500)
    assert whole.value == single.value == right.mean()
    assert (whole.high - whole.low) / (single.high - single.low) == pytest.approx(10**0.5, rel=0.25)
    assert photo_bootstrap(lambda rows: float(right[rows].mean()), photos, resamples=500) == whole


def test_a_photo_drawn_twice_counts_twice() -> None:
    """Of two photos of one and three dots, the numbers of dots drawn are 2, 4 and 6."""
    sizes = set()

    def count(rows: np.ndarray) -> float:
        sizes.add(len(rows))
        return 0.0

    photo_bootstrap(count, np.array([5, 2, 5, 5]), resamples=50)
    assert sizes == {2, 4, 6}


def test_one_photo_has_no_spread() -> None:
    assert photo_bootstrap(lambda rows: 0.5, np.zeros(3, int)) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("photos", "arguments", "message"),
    [
        ([], {}, "an interval needs dots, .* got 0 dots"),
        ([0, 1], {"level": 95}, "a level between 0 and 1 .* got 2 dots, 95"),
        ([0, 1], {"resamples": 0}, "at least 1 resample"),
    ],
)
def test_no_interval(photos: list[int], arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        photo_bootstrap(lambda rows: 0.0, np.array(photos, int), **arguments)


def test_what_is_not_finite_of_a_draw() -> None:
    right = np.array([True, False])
    with pytest.raises(ValueError, match="not finite of some draws of them; take more photos"):
        photo_bootstrap(lambda rows: dot_curve(np.zeros(len(rows)), right[rows]).auc(), np.array([0, 1]), resamples=50)
