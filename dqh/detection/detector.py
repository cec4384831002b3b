"""What every detector is, whatever computes it.

N photos of any sizes H × W, K objects of a photo at most.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dqh.detection.detections import Detections


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
            ValueError: an image is none.
            DetectorError: the detector fails, or takes too long.
        """
