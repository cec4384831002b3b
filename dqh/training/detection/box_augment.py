"""Random views of photos with boxes, by torchvision's transforms, which know of boxes.

K boxes of a photo.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision import tv_tensors
from torchvision.transforms import v2

from dqh.data.boxes import Boxes
from dqh.detection.decoders.ready_boxes import DECODER

LEAST_SIDE = 16
"""Pixels of a photo of which parts are cut out."""


@dataclass(frozen=True)
class BoxAugment:
    """What is done to a training photo; what is not set is not done.

    Over a frozen trunk, whose maps are computed once, `flip` alone acts unless there are `views`.

    Args:
        flip: mirrored, left to right, half of the time.
        zoom_out: largest ratio of a canvas on which half of the photos are put to the side of the photo, 1 or more
            (Liu et al. 2016, §3.6); null for none.
        crop: whether parts are cut out that overlap with an object by at least a drawn share (ibid., §2.2).
        colour: whether brightness, contrast, saturation and hue are changed (ibid., §2.2), and in half of the views
            the order of the channels, as torchvision does it.
        views: random views of each photo that a frozen trunk sees, beside the photo and its mirror image.

    Raises:
        ValueError: `zoom_out` is below 1, or `views` below 0.
    """

    flip: bool = True
    zoom_out: float | None = None
    crop: bool = False
    colour: bool = False
    views: int = 0

    def __post_init__(self) -> None:
        if self.views < 0:
            raise ValueError(f"views must be 0 or more, got {self.views}")
        if self.zoom_out is not None and not self.zoom_out >= 1:
            raise ValueError(f"zoom_out must be 1 or more, or null, got {self.zoom_out}")

    @property
    def flip_alone(self) -> bool:
        """Whether nothing but `flip` is done."""
        return not (self.crop or self.colour or self.zoom_out)

    def words(self) -> str:
        """What is done, for the log."""
        done = {
            "mirrored": self.flip,
            f"zoomed out up to {self.zoom_out} ×": self.zoom_out,
            "cut": self.crop,
            "colours changed": self.colour,
        }
        return ", ".join(text for text, holds in done.items() if holds) or "none"

    def __call__(self, image: NDArray[np.uint8], boxes: Boxes, *, seed: int) -> tuple[NDArray[np.uint8], Boxes]:
        """A view of a photo (H, W, 3), and the boxes that are in it, those of no area left out.

        Args:
            image: RGB.
            boxes: in its pixels.
            seed: of all draws, which leave torch's global generator as it was.
        """
        height, width = image.shape[:2]
        sample: dict[str, Any] = {
            "image": tv_tensors.Image(torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))),
            "boxes": tv_tensors.BoundingBoxes(
                torch.from_numpy(boxes.boxes), format="XYXY", canvas_size=(height, width)
            ),
            "labels": torch.arange(len(boxes.classes)),
        }
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            view = self._transform(large=len(boxes.classes) > 0 and min(height, width) >= LEAST_SIDE)(sample)
        kept = view["labels"].numpy()
        own = Boxes(view["boxes"].numpy().astype(np.float32), boxes.classes[kept], boxes.difficult[kept])
        return np.ascontiguousarray(view["image"].numpy().transpose(1, 2, 0)), own

    def _transform(self, *, large: bool) -> Any:
        parts: list[Any] = []
        if self.colour:
            parts.append(v2.RandomPhotometricDistort())
        if self.zoom_out is not None and self.zoom_out > 1:
            padding = DECODER.usual.padding
            parts.append(v2.RandomZoomOut(fill={tv_tensors.Image: padding, "others": 0}, side_range=(1, self.zoom_out)))
        if self.crop and large:
            parts.append(v2.RandomIoUCrop())
        if self.flip:
            parts.append(v2.RandomHorizontalFlip())
        return v2.Compose([*parts, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=1)])


def mirrored(boxes: Boxes, width: float) -> Boxes:
    """Boxes of the mirror image, left to right, of an input that is so wide.

    Example:
        >>> box = Boxes(np.array([[1, 2, 4, 5]], np.float32), np.array([0]), np.array([False]))
        >>> mirrored(box, 10).boxes
        array([[6., 2., 9., 5.]], dtype=float32)
    """
    x0, y0, x1, y1 = boxes.boxes.T
    return boxes._replace(boxes=np.stack([width - x1, y0, width - x0, y1], axis=1))
