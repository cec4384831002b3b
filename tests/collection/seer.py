"""A detector of pure colours, and photos that show them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from dqh.detection.detections import Detections
from dqh.errors import DetectorError
from tests.data.conftest import picture

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
FAILS = (255, 0, 255)

Box = tuple[int, int, int, int]


class Seer:
    """Sees the box around all pixels of each colour, red surest; fails where the first pixel is of `FAILS`.

    Attributes:
        shown: how many images it was shown.
    """

    classes = tuple(COLOURS)
    most = 4

    def __init__(self, detector_id: str = "5ee2" * 16) -> None:
        self.detector_id = detector_id
        self.shown = 0

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Detections:
        self.shown += len(images)
        shape = (len(images), self.most)
        boxes, scores = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32)
        classes = np.full(shape, -1, np.int64)
        for number, image in enumerate(images):
            assert image.dtype == np.uint8
            if (image[0, 0] == FAILS).all():
                raise DetectorError("it does not like this photo")
            seen = [(kind, np.argwhere((image == colour).all(axis=2))) for kind, colour in enumerate(COLOURS.values())]
            for place, (kind, pixels) in enumerate((kind, pixels) for kind, pixels in seen if len(pixels)):
                (y0, x0), (y1, x1) = pixels.min(axis=0), pixels.max(axis=0) + 1
                boxes[number, place] = (x0 + 0.25, y0 - 0.25, x1, y1 + 0.4)  # not whole, and beyond the image
                scores[number, place] = 0.9 - 0.2 * kind
                classes[number, place] = kind
        return Detections(boxes, scores, classes, classes >= 0)


def photo(file: Path, seed: int, **boxes: Box) -> Path:
    """Blocks of colours, 48 × 40, with a rectangle of each colour named: x0, y0, x1, y1."""
    image = picture(seed, (48, 40))
    draw = ImageDraw.Draw(image)
    for name, (x0, y0, x1, y1) in boxes.items():
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=COLOURS.get(name, FAILS))
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, "PNG")
    return file


RED, GREEN, SMALL = (2, 3, 20, 30), (24, 4, 44, 36), (30, 10, 37, 30)


def photos(root: Path) -> Path:
    """a/both.png, a/none.png, b/red.png, and b/small.png, whose green side has 7 pixels."""
    photo(root / "a" / "both.png", 0, red=RED, green=GREEN)
    photo(root / "a" / "none.png", 1)
    photo(root / "b" / "red.png", 2, red=(10, 10, 40, 34))
    photo(root / "b" / "small.png", 3, green=SMALL, blue=(0, 0, 9, 40))
    return root
