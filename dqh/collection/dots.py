"""The object under a dot in a photo: of those that an index has of it, where it has it, else of a detector.

A dot is x, y, pixels of the upright photo.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.collection.artifact_note import relative
from dqh.collection.objects import Named, Part, look
from dqh.data.photo_files import located, photo_content
from dqh.data.pixels import decode
from dqh.data.source import content_hash
from dqh.errors import BadImageError, NoDetectorError
from dqh.index.store import Box
from dqh.index.store.filtering import matching
from dqh.index.store.version import Version
from dqh.index.store.where import In

Dot = tuple[float, float]


def box_under(dot: Dot, query: str, *, version: Version, detector: Callable[[], Named | None]) -> Box:
    """The smallest box of an object that holds a dot.

    Args:
        dot: x, y, pixels.
        query: path of the photo.
        version: of the index. Where it has the photo, with this content, its objects are taken; removed ones are none.
        detector: gives what sees the objects otherwise, or None.

    Raises:
        BadImageError: the photo cannot be used, the dot lies outside it, or no object is there; the text names the one
            that is nearest.
        NoDetectorError: the index does not have the photo, and there is no detector.
        DetectorError: the detector is damaged.
        MismatchError: it is another one than the index was made with.
    """
    path = located(query)
    try:
        content = photo_content(path)
        image = decode(content)
        x, y = dot
        if not (0 <= x < image.width and 0 <= y < image.height):
            raise BadImageError(
                f"the dot {_spelt(dot)} lies outside its {image.width} × {image.height} pixels; give X,Y with "
                "0 ≤ X < width and 0 ≤ Y < height"
            )
        objects = _stored(path, content, version)
        if objects is None:
            objects = _detected(np.asarray(image), detector(), version.path)
        return _smallest(dot, objects)
    except BadImageError as error:
        raise BadImageError(f"{query!r} cannot be used: {error}") from error


def _stored(path: str, content: bytes, version: Version) -> Sequence[Part] | None:
    """The objects that an index has of a photo; None where it has no photo of this path and content, or no objects."""
    if version.manifest.detector_id is None:
        return None
    names = (relative(path, version.manifest.root), path)
    rows = [
        row for row in version.rows(matching(In("path", names), version)) if row.content_hash == content_hash(content)
    ]
    if all(row.box is not None for row in rows):
        return None
    return [Part(row.box, row.object, row.score) for row in rows if row.object is not None]


def _detected(image: NDArray[np.uint8], named: Named | None, index: Path) -> Sequence[Part]:
    """What a detector sees in a photo."""
    if named is None:
        raise NoDetectorError(
            f"nothing tells what lies under a dot: {index} was made without objects, and no detector is named; name "
            "one: --detector DETECTOR, or give the part to search by: --box X0,Y0,X1,Y1"
        )
    (seen,) = look(named.detector, [image])
    if isinstance(seen, str):
        raise BadImageError(seen)
    return seen.objects


def nearest_object(dot: Dot, objects: Sequence[Part]) -> tuple[Part, Box, float] | None:
    """The object that is nearest to a dot, of equally near ones the smallest; None of none.

    Returns:
        The object, its box, and how far the dot is from it, pixels; 0 inside and on its edge.
    """
    boxes = {part.box: part for part in objects if part.box is not None}
    if not boxes:
        return None
    nearest = min(boxes, key=lambda box: (_away(dot, box), _area(box)))
    return boxes[nearest], nearest, _away(dot, nearest)


def _smallest(dot: Dot, objects: Sequence[Part]) -> Box:
    nearest = nearest_object(dot, objects)
    if nearest is None:
        raise BadImageError("no object is seen in it; search by all of it, or by a part: --box X0,Y0,X1,Y1")
    part, box, away = nearest
    if away > 0:
        raise BadImageError(
            f"no object is under the dot {_spelt(dot)}; the nearest is a {part.object} ({part.score:.2f}) in the box "
            f"{_spelt(box)}, {away:.0f} pixels away; put the dot into a box, or give one: --box X0,Y0,X1,Y1"
        )
    return box


def _away(dot: Dot, box: Box) -> float:
    """How far a dot is from a box, pixels; 0 inside and on its edge."""
    (x, y), (x0, y0, x1, y1) = dot, box
    return math.hypot(max(x0 - x, 0, x - x1), max(y0 - y, 0, y - y1))


def _area(box: Box) -> float:
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0)


def _spelt(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
