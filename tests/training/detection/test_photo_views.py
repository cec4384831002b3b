"""The views of a frozen trunk: the photo, its mirror image, and random ones that are drawn once."""

import numpy as np
import pytest

from dqh.training.detection.box_augment import BoxAugment
from dqh.training.detection.fitted_photos import FittedPhotos
from dqh.training.detection.photo_views import FrozenViews, random_views


@pytest.fixture
def photos(small) -> FittedPhotos:
    photos = FittedPhotos(small().source, 32, memory_limit=10**6, workers=0)
    photos.load([0, 1, 2])
    return photos


@pytest.mark.parametrize(
    ("augment", "count"),
    [(None, 1), (BoxAugment(), 2), (BoxAugment(flip=False), 1), (BoxAugment(flip=False, crop=True, views=3), 4)],
)
def test_how_many_there_are(photos, augment: BoxAugment | None, count: int) -> None:
    assert FrozenViews(photos, augment, seed=0).count == count


@pytest.mark.parametrize("flip", [True, False])
def test_the_photo_its_mirror_image_and_random_views(photos, flip: bool) -> None:
    views = FrozenViews(photos, BoxAugment(flip=flip, zoom_out=3.0, colour=True, views=2), seed=5)
    first = 1 + flip
    assert views.count == first + 2
    pixels, truths = views.of([2, 0, 1], [0, first, views.count - 1])
    assert np.array_equal(pixels[0], photos.pixels([2])[0])
    assert truths[0].boxes.tolist() == photos.truths[2].boxes.tolist()
    for place, row in ((1, 0), (2, 1)):
        assert not np.array_equal(pixels[place], photos.pixels([row])[0])
    again = views.of([1, 0], [views.count - 1, first])
    assert np.array_equal(again[0], pixels[[2, 1]])
    assert [truth.boxes.tolist() for truth in again[1]] == [truths[place].boxes.tolist() for place in (2, 1)]
    if flip:
        mirror, (truth,) = views.of([1], [1])
        assert np.array_equal(mirror, photos.pixels([1], [True]))
        width = photos.sizes[1][0]
        assert truth.boxes[:, 0].tolist() == (width - photos.truths[1].boxes[:, 2]).tolist()


def test_another_seed_gives_other_random_views(photos) -> None:
    augment = BoxAugment(flip=False, zoom_out=3.0, views=1)
    one, other = (FrozenViews(photos, augment, seed=seed).of([0, 1, 2], [1, 1, 1])[0] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_random_views_are_of_their_seeds(photos) -> None:
    augment = BoxAugment(crop=True, zoom_out=2.0)
    pixels, truths = random_views(photos, augment, [1, 2], [7, 8])
    (alone,), (truth,) = random_views(photos, augment, [2], [8])
    assert np.array_equal(alone, pixels[1])
    assert truth.boxes.tolist() == truths[1].boxes.tolist()
    assert pixels.shape == (2, 3, 32, 32)
