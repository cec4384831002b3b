"""What does not change of a photo while a detector is trained, computed once for each view, in half precision.

The maps of a frozen trunk, or what its stem gives where the rest of it learns along.

N photos.
"""

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dqh.data.boxes import Boxes
from dqh.models.detectors.trunk import Trunk
from dqh.plural import counted
from dqh.progress import Progress
from dqh.training.detection.photo_views import FrozenViews

logger = logging.getLogger(__name__)

_ON_CPU = 2
"""Photos at a time there: with 16 of 320 pixels the system hands out and clears memory for as long as it computes."""


class KeptMaps:
    """The maps of some rows, or what they are made of.

    Args:
        trunk: images → maps, of whose stem no weight will move.
        views: of the photos, all of which are kept.
        rows: of the photos.
        batch_size: photos at a time.
        device: that computes.
    """

    def __init__(
        self,
        trunk: Trunk,
        views: FrozenViews,
        rows: Sequence[int],
        *,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._place = {row: place for place, row in enumerate(rows)}
        self._truths: dict[tuple[int, int], Boxes] = {}
        shapes = [(views.count, len(rows), *shape) for shape in trunk.kept_shapes]
        self._maps = [torch.empty(shape, dtype=torch.float16) for shape in shapes]
        largest = torch.finfo(torch.float16).max
        trunk.eval().to(device)
        if device.type == "cpu":
            batch_size = min(batch_size, _ON_CPU)
        progress = Progress("computed maps of", views.count * len(rows), noun="views")
        with torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                for view in range(views.count):
                    pixels, truths = views.of(part, [view] * len(part))
                    self._truths |= {(row, view): truth for row, truth in zip(part, truths, strict=True)}
                    for kept, values in zip(self._maps, trunk.kept(torch.from_numpy(pixels).to(device)), strict=True):
                        kept[view, start : start + len(part)] = values.clamp(-largest, largest)
                    progress.advance(len(part))
        trunk.cpu()
        if rows:
            what = counted(len(rows), "photo"), counted(views.count, "view")
            logger.info("computed the maps of %s in %s, which do not change", *what)

    def of(self, rows: Sequence[int], views: Sequence[int]) -> tuple[tuple[Tensor, ...], list[Boxes]]:
        """What `Trunk.kept` gave, float16, and the boxes of a view of each row."""
        places = torch.tensor([self._place[row] for row in rows])
        numbers = torch.tensor(views).long()
        truths = [self._truths[row, view] for row, view in zip(rows, views, strict=True)]
        return tuple(part[numbers, places] for part in self._maps), truths


def needed(trunk: Trunk, photos: int, *, views: int) -> int:
    """Bytes that what is kept of so many views of so many photos takes."""
    return 2 * views * photos * sum(map(math.prod, trunk.kept_shapes))
