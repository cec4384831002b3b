"""Which photos a detector is asked about: those of its own split, or others that are meant.

N photos.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.box_source import BoxSource
from dqh.data.source import Source
from dqh.detection.origin import read_origin
from dqh.errors import ConfigError, DataError
from dqh.evaluation.other_data import redraw

logger = logging.getLogger(__name__)

ROLES = ("query", "test", "validation")
"""Roles of a source that a detector is asked about which was not trained here; the first one that there is."""


class Asked(NamedTuple):
    """What a detector is asked.

    Attributes:
        source: of the photos.
        rows: (N,) int64, of the photos.
        protocol: how they were chosen, plain JSON values.
        training: facts of its training; None where nothing is known of it.
    """

    source: BoxSource
    rows: NDArray[np.int64]
    protocol: Mapping[str, Any]
    training: Mapping[str, Any] | None

    @property
    def method(self) -> str:
        """That trained it, for folders."""
        return str(self.protocol["method"])


def asked_photos(folder: Path, source: Source, *, other_data: bool = False) -> Asked:
    """The photos that the detector of a folder is asked about.

    One that was trained here, also as ONNX, is asked about the queries of its split; where the data are others, and
    meant to be, about such as are no photos that it is known to have been trained on. One from elsewhere is asked about
    the queries that the data hand out, else the test or validation photos, else all.

    Args:
        folder: of the detector.
        source: the data.
        other_data: whether data that differ are meant.

    Raises:
        ConfigError: the data have no boxes.
        DataError: they are not those of the detector, and not meant to be others.
        DetectorError: the detector is damaged.
    """
    if not isinstance(source, BoxSource):
        raise ConfigError(f"data: {source.name} has no boxes to compare with; choose data with boxes")
    origin = read_origin(folder)
    if origin is None:
        role = next((name for name in ROLES if len(source.roles.get(name, ()))), None)
        rows = np.arange(len(source), dtype=np.int64) if role is None else source.roles[role]
        if role is None:
            logger.warning(
                "nothing says which photos of %s the detector was trained on, and the data hand out no queries: all %d "
                "are asked about",
                source.name,
                len(rows),
            )
        return Asked(source, rows, {"method": "detector", "split": role or "all"}, None)
    changed = origin.split.differences(source)
    if not changed and origin.boxes_sha256 != source.boxes_sha256:
        changed.append("boxes")
    if changed and not other_data:
        raise DataError(
            f"data: {source.name} is not what the detector was trained on; these differ: {'; '.join(changed)}. Give "
            "its own data, or other_data=true to evaluate on these deliberately"
        )
    split = origin.split if not origin.split.missing(source) else redraw(origin.split, source)
    protocol = {
        "method": origin.method,
        "split": split.protocol,
        "split_seed": split.seed,
        "split_sha256": split.sha256,
        "train": len(origin.split.train),
        "validation": len(origin.split.validation),
    }
    if changed:
        protocol["other_data"] = changed
    return Asked(source, split.rows(source).query, protocol, origin.training)
