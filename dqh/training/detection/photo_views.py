"""The views of photos that a detector is trained on, as inputs with their boxes.

N photos, S × S pixels of the input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dqh.data.boxes import Boxes
from dqh.training.detection.box_augment import BoxAugment, mirrored
from dqh.training.detection.fitted_photos import FittedPhotos, fitted
from dqh.training.seeds import derive


class FrozenViews:
    """The views that a frozen trunk sees, so few that its maps of them can be kept.

    View 0 is the photo, the next its mirror image where that is wanted, and then come the random ones of `augment`, of
    which each is drawn once.

    Args:
        inputs: the photos.
        augment: which there are; None for the photo alone.
        seed: of the random ones.

    Attributes:
        count: of each photo.
    """

    def __init__(self, inputs: FittedPhotos, augment: BoxAugment | None, *, seed: int) -> None:
        self.inputs = inputs
        self._augment, self._seed = augment, seed
        self._whole = 1 + (augment is not None and augment.flip)
        self.count = self._whole + (0 if augment is None else augment.views)

    def of(self, rows: Sequence[int], views: Sequence[int]) -> tuple[NDArray[np.uint8], list[Boxes]]:
        """(N, 3, S, S) inputs, and the boxes in their pixels, of a view of each row."""
        flips = [view == 1 < self._whole for view in views]
        pixels = self.inputs.pixels(rows, flips)
        truths = [self._truth(row, flip=flip) for row, flip in zip(rows, flips, strict=True)]
        drawn = [place for place, view in enumerate(views) if view >= self._whole]
        if drawn:
            assert self._augment is not None
            seeds = [derive(self._seed, "augment", views[place], rows[place]) for place in drawn]
            own = random_views(self.inputs, self._augment, [rows[place] for place in drawn], seeds)
            pixels[drawn] = own[0]
            for place, truth in zip(drawn, own[1], strict=True):
                truths[place] = truth
        return pixels, truths

    def _truth(self, row: int, *, flip: bool) -> Boxes:
        truth = self.inputs.truths[row]
        return mirrored(truth, self.inputs.sizes[row][0]) if flip else truth


def random_views(
    inputs: FittedPhotos, augment: BoxAugment, rows: Sequence[int], seeds: Sequence[int]
) -> tuple[NDArray[np.uint8], list[Boxes]]:
    """(N, 3, S, S) inputs of a random view of each row, by its seed, and the boxes in their pixels."""
    # one after the other: the transforms draw from torch's global generator
    boxed = [fitted(*augment(*inputs.read(row), seed=seed), inputs.size) for row, seed in zip(rows, seeds, strict=True)]
    pixels = np.stack([own.pixels for own, _ in boxed]).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels), [truth for _, truth in boxed]
