"""What a decoder is: how the output of one family of detectors becomes boxes.

n boxes, C classes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from dqh.detection.detections import Objects


class Settings(NamedTuple):
    """What may differ between networks of one family and between uses of one network.

    Attributes:
        colour: order of the channels in the input, BGR or RGB.
        largest: what a value of 255 of a photo is in the input, 255.0 or 1.0.
        padding: of the input beside the photo, which lies in its top left: a value of a photo, 0 … 255.
        threshold: score below which a box is none, 0 … 1.
        iou: intersection over union above which two boxes of a class are one object, 0 … 1.
        most: objects of a photo at most, the surest ones.
    """

    colour: str
    largest: float
    padding: int
    threshold: float
    iou: float
    most: int


class Decoder(Protocol):
    """Reads the output of one family of detectors.

    Attributes:
        name: that folders of detectors have it by.
        usual: settings of the family, where nobody says otherwise.
    """

    name: str
    usual: Settings

    def size_problem(self, height: int, width: int) -> str | None:
        """Why no network of the family has an input of this size; None where one may."""

    def decode(
        self, outputs: Sequence[NDArray[Any]], *, height: int, width: int, classes: int, threshold: float
    ) -> Objects:
        """The boxes in one input that have a score of `threshold` or more, many on each object, in pixels of the input.

        Args:
            outputs: of the network for this input alone.
            height: of the input.
            width: of the input.
            classes: C, how many names the detector has.
            threshold: 0 … 1.

        Raises:
            ValueError: the outputs are not of this family, or not of C classes.
        """
