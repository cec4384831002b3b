"""The maps of a frozen trunk, computed once for each photo and its mirror image, and kept in half precision.

N photos.
"""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from dqh.models.detectors.trunk import Trunk
from dqh.plural import counted
from dqh.training.detection.fitted_photos import FittedPhotos

logger = logging.getLogger(__name__)


class KeptMaps:
    """The maps of some rows.

    Args:
        trunk: images → maps, of which no weight will move.
        inputs: the photos.
        rows: whose maps are kept.
        mirror: whether those of the mirror images are kept too.
        batch_size: photos at a time.
        device: that computes.
    """

    def __init__(
        self,
        trunk: Trunk,
        inputs: FittedPhotos,
        rows: Sequence[int],
        *,
        mirror: bool,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._place = {row: place for place, row in enumerate(rows)}
        shapes = [(1 + mirror, len(rows), part.channels, part.side, part.side) for part in trunk.maps]
        self._maps = [torch.empty(shape, dtype=torch.float16) for shape in shapes]
        largest = torch.finfo(torch.float16).max
        trunk.eval().to(device)
        with torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                for view in range(1 + mirror):
                    images = torch.from_numpy(inputs.pixels(part, [bool(view)] * len(part))).to(device)
                    for kept, values in zip(self._maps, trunk(images), strict=True):
                        kept[view, start : start + len(part)] = values.clamp(-largest, largest)
        trunk.cpu()
        if rows:
            logger.info("computed the maps of %s, which do not change", counted(len(rows), "photo"))

    def of(self, rows: Sequence[int], mirrored: Sequence[bool]) -> tuple[Tensor, ...]:
        """The maps of rows, float16, of their mirror images where that is said."""
        places = torch.tensor([self._place[row] for row in rows])
        views = torch.tensor(mirrored).long()
        return tuple(part[views, places] for part in self._maps)


def needed(trunk: Trunk, photos: int, *, mirror: bool) -> int:
    """Bytes that the maps of so many photos take."""
    return 2 * (1 + mirror) * photos * sum(part.channels * part.side**2 for part in trunk.maps)
