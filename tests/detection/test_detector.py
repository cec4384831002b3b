"""What every detector asks of a photo."""

from typing import Any

import numpy as np
import pytest

from dqh.detection.detector import require_photos


def test_photos_of_any_size() -> None:
    require_photos([np.zeros((1, 1, 3), np.uint8), np.zeros((5, 9, 3), np.uint8)])
    require_photos([])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([np.zeros((4, 4, 3))], r"image 0 is float64 \(4, 4, 3\), wanted an RGB photo \(H, W, 3\) uint8"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)], r"image 1 is uint8 \(4, 4, 4\)"),
        ([np.zeros((0, 4, 3), np.uint8)], r"image 0 is uint8 \(0, 4, 3\), .* of at least one pixel"),
        (np.zeros((4, 4, 3), np.uint8), r"image 0 is uint8 \(4, 3\), .*; put a photo alone into a list"),
        (["photo.jpg"], r"image 0 is of type str, wanted an array"),
    ],
)
def test_what_is_no_photo(images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_photos(images)
