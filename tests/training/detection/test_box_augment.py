"""Random views move boxes with their photo, and draw from their seed alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from dqh.data.boxes import Boxes
from dqh.training.detection.box_augment import BoxAugment, mirrored

BOX = Boxes(np.array([[4, 6, 14, 18]], np.float32), np.array([3]), np.array([True]))


def photo() -> np.ndarray:
    """A white box on black."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[6:18, 4:14] = 255
    return image


def white(image: np.ndarray) -> list[int]:
    """The box around what is white, x0, y0, x1, y1."""
    rows, columns = np.nonzero(image[..., 0] == 255)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("augment", [BoxAugment(), BoxAugment(zoom_out=3.0), BoxAugment(crop=True)])
def test_the_box_stays_around_what_it_marks(augment: BoxAugment) -> None:
    views = [augment(photo(), BOX, seed=seed) for seed in range(12)]
    for image, boxes in views:
        assert boxes.classes.tolist() == [3]
        assert boxes.difficult.tolist() == [True]
        assert white(image) == boxes.boxes[0].tolist()
    assert len({tuple(boxes.boxes[0].tolist()) + image.shape for image, boxes in views}) > 1


def test_colour_leaves_boxes_as_they_are() -> None:
    grey = np.full((30, 40, 3), 90, np.uint8)
    views = [BoxAugment(flip=False, colour=True)(grey, BOX, seed=seed) for seed in range(6)]
    assert any((image != grey).any() for image, _ in views)
    assert all((boxes.boxes == BOX.boxes).all() for _, boxes in views)


def test_views_follow_from_the_seed_and_leave_the_global_generator() -> None:
    augment = BoxAugment(zoom_out=2.0, crop=True, colour=True)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, other = (augment(photo(), BOX, seed=7) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert (one[0] == other[0]).all()
    assert (one[1].boxes == other[1].boxes).all()


def test_a_photo_without_boxes_has_views_too() -> None:
    nothing = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    image, boxes = BoxAugment(zoom_out=2.0, crop=True, colour=True)(photo(), nothing, seed=0)
    assert image.dtype == np.uint8
    assert boxes.boxes.shape == (0, 4)


def test_mirroring_twice_changes_nothing() -> None:
    assert mirrored(BOX, 40).boxes.tolist() == [[26, 6, 36, 18]]
    assert (mirrored(mirrored(BOX, 40), 40).boxes == BOX.boxes).all()


def test_a_canvas_smaller_than_the_photo_is_refused() -> None:
    with pytest.raises(ValueError, match=r"zoom_out must be 1 or more, or null, got 0.5"):
        BoxAugment(zoom_out=0.5)


@pytest.mark.filterwarnings("error")
def test_a_photo_of_one_pixel_is_not_written_into() -> None:
    """Transposed it is as it was, and Pillow's own memory, in which nobody may write."""
    image = np.asarray(Image.new("RGB", (1, 1), (9, 8, 7)))
    nothing = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    view, _ = BoxAugment(colour=True)(image, nothing, seed=1)
    assert view.shape == (1, 1, 3)
    assert image.tolist() == [[[9, 8, 7]]]


def test_views_are_counted_from_0() -> None:
    with pytest.raises(ValueError, match="views must be 0 or more, got -1"):
        BoxAugment(views=-1)
