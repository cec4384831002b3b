"""A photo into the input of a network, and boxes back."""

import numpy as np
import pytest

from dqh.detection.letter_box import in_photo, letter_box


@pytest.mark.parametrize(
    ("photo", "fitted"),
    [
        ((64, 64), (32, 32)),
        ((50, 100), (64, 32)),
        ((101, 50), (15, 32)),  # 50 · 32 / 101 = 15.8
        ((1, 1000), (64, 1)),  # 64 / 1000 of one pixel is none, but one is there
        ((1000, 1), (1, 32)),
        ((32, 64), (64, 32)),
        ((3, 5), (53, 32)),
    ],
)
def test_the_photo_is_as_large_as_fits(photo: tuple[int, int], fitted: tuple[int, int]) -> None:
    image = np.full((*photo, 3), 7, np.uint8)
    boxed = letter_box(image, 32, 64, padding=114)
    assert boxed.fitted == fitted
    assert boxed.photo == photo[::-1]
    width, height = boxed.fitted
    assert boxed.pixels.shape == (32, 64, 3)
    assert (boxed.pixels[:height, :width] == 7).all()
    assert (boxed.pixels[height:] == 114).all()
    assert (boxed.pixels[:, width:] == 114).all()


def test_a_photo_of_the_size_of_the_input_is_what_enters() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    boxed = letter_box(image, 32, 64, padding=0)
    assert np.array_equal(boxed.pixels, image)
    boxed.pixels[:] = 0
    assert image.any()


def test_parts_stay_where_they_are() -> None:
    """The left half red, the right half blue, also of a view with steps of its own."""
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :20, 0] = image[:, 20:, 2] = 200
    pixels = letter_box(image[::-1], 32, 32, padding=114).pixels
    assert pixels[8, 4].tolist() == [200, 0, 0]
    assert pixels[8, 28].tolist() == [0, 0, 200]


def test_boxes_come_back_in_pixels_of_the_photo() -> None:
    """200 × 100 pixels in 50 × 25: a pixel of the input is 4 of the photo; what sticks out is cut off."""
    boxed = letter_box(np.zeros((100, 200, 3), np.uint8), 50, 50, padding=114)
    boxes = np.float32([[0, 0, 50, 25], [10, 5, 20, 10.5], [-3, -2, 4, 90], [0, 30, 20, 40]])
    wanted = [[0, 0, 200, 100], [40, 20, 80, 42], [0, 0, 16, 100], [0, 100, 80, 100]]
    assert in_photo(boxes, boxed).tolist() == wanted


def test_each_side_has_a_scale_of_its_own() -> None:
    """101 × 50 pixels become 15 × 32 of them, which are 50 / 15 and 101 / 32 pixels of the photo."""
    boxed = letter_box(np.zeros((101, 50, 3), np.uint8), 32, 64, padding=114)
    assert in_photo(np.float32([[3, 8, 15, 32]]), boxed).tolist() == [[10, 25.25, 50, 101]]


def test_no_boxes() -> None:
    boxed = letter_box(np.zeros((9, 9, 3), np.uint8), 32, 32, padding=114)
    assert in_photo(np.zeros((0, 4), np.float32), boxed).shape == (0, 4)
