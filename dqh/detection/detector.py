"""What every detector is, whatever computes it.

N photos of any sizes H × W, K objects of a photo at most.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dqh.detection.detections import Detections, Objects


class Detector(Protocol):
    """Finds objects of some classes in photos.

    Attributes:
        classes: their names, all different; a class is the number of its name.
        detector_id: 64 hexadecimal digits, the SHA-256 of all that decides its answers: the model, how photos go in,
            and what is made of its output.
        most: K.
    """

    classes: tuple[str, ...]
    detector_id: str
    most: int

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Detections:
        """The objects in photos; what is said of one photo does not depend on those beside it.

        Args:
            images: N upright RGB photos (H, W, 3) uint8, of any size each.

        Raises:
            ValueError: an image is none, see `require_photos`.
            DetectorError: the detector fails, or takes too long.
        """


@runtime_checkable
class Proposer(Protocol):
    """A detector that may tell which boxes it proposes before they have a class."""

    def propose(self, image: NDArray[np.uint8]) -> Objects | None:
        """The proposals in an upright RGB photo (H, W, 3) uint8, the surest first, in its pixels; None of no such.

        All are of class 0, with the score of whether something lies there. Errors are those of `Detector.detect`.
        """


def require_photos(images: Sequence[NDArray[np.uint8]]) -> None:
    """Raise ValueError where something is no photo (H, W, 3) uint8 of at least one pixel."""
    for number, image in enumerate(images):
        if not isinstance(image, np.ndarray):
            raise ValueError(
                f"image {number} is of type {type(image).__name__}, wanted an array (H, W, 3) uint8: np.asarray of an "
                "upright RGB image"
            )
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            hint = "; put a photo alone into a list, and give a grey one three channels" if image.ndim == 2 else ""
            raise ValueError(
                f"image {number} is {image.dtype} {image.shape}, wanted an RGB photo (H, W, 3) uint8 of at least one "
                f"pixel{hint}"
            )
