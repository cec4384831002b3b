"""How large the images of a source are, by a look at some of them, and which input of a small network suits them."""

from typing import NamedTuple

import numpy as np

from dqh.data.source import Source
from dqh.errors import BadImageError

LOOKED_AT = 64
"""Most images that are looked at, spread evenly over the source."""

_A_FEW = 9

LEAST_SIZE, MOST_SIZE = 16, 64
FEW = 5000
"""Images of which an untrained small network can see `MOST_SIZE` pixels a side; of more, half of that."""


class Sides(NamedTuple):
    """The least, median and greatest shorter side of some images, in pixels, and how many could be looked at."""

    looked: int
    least: int
    median: int
    most: int

    def __str__(self) -> str:
        images = f"{self.looked} images" if self.looked > 1 else "one image"
        if self.least == self.most:
            return f"{self.least} pixels in the {images} looked at"
        return f"{self.least} … {self.most} pixels in the {images} looked at"


def look_at_sides(source: Source, *, most: int = LOOKED_AT) -> Sides | None:
    """The shorter sides of some images, by their headers where there are files; None: none can be read."""
    sides = []
    for row in np.unique(np.linspace(0, len(source) - 1, min(len(source), most)).astype(np.int64)).tolist():
        try:
            sides.append(source.shorter_side(row))
        except BadImageError:  # reported when it is decoded
            continue
    return Sides(len(sides), min(sides), int(np.median(sides)), max(sides)) if sides else None


def may_be_photos(source: Source) -> bool:
    """Whether images are larger than tiny ones, `MOST_SIZE` pixels, by what the source says or a look at a few."""
    if source.kind != "image" or source.size is not None:
        return source.kind == "image" and source.size is not None and source.size > MOST_SIZE
    sides = look_at_sides(source, most=_A_FEW)
    return sides is not None and sides.median > MOST_SIZE


def suitable_size(sides: Sides | None, *, images: int) -> int:
    """Side of the input of a small network that starts untrained, pixels: that of the images as far as time allows.

    Example:
        >>> suitable_size(Sides(64, 16, 16, 16), images=9298), suitable_size(Sides(64, 200, 512, 900), images=180)
        (16, 64)
    """
    median = MOST_SIZE if sides is None else sides.median
    return min(MOST_SIZE if images <= FEW else MOST_SIZE // 2, max(LEAST_SIZE, median))
