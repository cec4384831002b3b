"""A photo of any size as the input of a detector, and boxes back from there to the pixels of the photo.

A photo of H × W enters an input of h × w.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class LetterBox(NamedTuple):
    """A photo in the top left of an input, whose rest is padding.

    Attributes:
        pixels: (h, w, 3) uint8.
        photo: (W, H) of the photo.
        fitted: (width, height) of the photo within the input.
    """

    pixels: NDArray[np.uint8]
    photo: tuple[int, int]
    fitted: tuple[int, int]


def letter_box(image: NDArray[np.uint8], height: int, width: int, *, padding: int) -> LetterBox:
    """A photo (H, W, 3), resized as a whole to the largest size that fits into h × w pixels.

    Both sides are rounded down, to one pixel at least. Pillow resizes, bilinear, which takes all pixels into account
    where it shrinks.

    Args:
        image: RGB.
        height: h.
        width: w.
        padding: value of the pixels beside the photo, 0 … 255.

    Example:
        >>> boxed = letter_box(np.zeros((40, 20, 3), np.uint8), 8, 8, padding=114)
        >>> boxed.fitted, boxed.pixels[7, 2:6, 0].tolist()
        ((4, 8), [0, 0, 114, 114])
    """
    photo_height, photo_width = image.shape[:2]
    if height * photo_width <= width * photo_height:  # the height binds; in integers, as a ratio rounds
        fitted = max(1, photo_width * height // photo_height), height
    else:
        fitted = width, max(1, photo_height * width // photo_width)
    if fitted != (photo_width, photo_height):
        image = np.asarray(Image.fromarray(image).resize(fitted, Image.Resampling.BILINEAR))
    pixels = np.full((height, width, 3), padding, np.uint8)
    pixels[: fitted[1], : fitted[0]] = image
    return LetterBox(pixels, (photo_width, photo_height), fitted)


def in_photo(boxes: NDArray[np.float32], boxed: LetterBox) -> NDArray[np.float32]:
    """Boxes (n, 4) in pixels of an input as they lie in its photo, clipped to it; some may be empty.

    Example:
        >>> boxed = letter_box(np.zeros((40, 20, 3), np.uint8), 8, 8, padding=114)
        >>> in_photo(np.array([[1, 2, 3, 9]], np.float32), boxed)
        array([[ 5., 10., 15., 40.]], dtype=float32)
    """
    photo, fitted = np.tile(boxed.photo, 2), np.tile(boxed.fitted, 2)
    return np.asarray(np.clip(boxes * (photo / fitted), 0, photo), np.float32)
