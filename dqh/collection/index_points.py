"""The images of an index as points to cluster: their features, their codes, and what is known of them."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cluster_input import ClusterInput
from dqh.collection.artifact_note import absolute
from dqh.commands import command
from dqh.data.point_labels import labels_of_lists
from dqh.errors import DataError
from dqh.index.store import open_index
from dqh.index.store.rows import to_text
from dqh.index.store.version import Version
from dqh.quantizers.product import product_quantizer


def index_input(path: Path) -> ClusterInput:
    """The images of the newest version of an index, those that were removed, and objects, left out.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged.
        DataError: it has no images.
    """
    version = open_index(path, cache=False).version
    rows = np.flatnonzero(~version.objects)
    if not len(rows):
        adding = command("dqh", "index", "ARTIFACT", "IMAGES", "--out", path)
        raise DataError(f"{path} has no images; put some into it: {adding}")
    manifest = version.manifest
    labels = labels_of_lists(version.column("labels", rows), to_text)
    return ClusterInput(
        name=str(path),
        noun="image",
        identity={"index": hashlib.sha256(manifest.to_bytes()).hexdigest()},
        vectors=IndexFeatures(version, rows),
        codes=lambda: version.codes(rows),
        code_kind=manifest.code_kind,
        bits=manifest.bits,
        quantizer=product_quantizer(version.quantizer),
        labels=labels if len(labels.rows) else None,
        ids=version.ids[rows],
        paths=lambda numbers: [absolute(row.path, manifest.root) for row in version.rows(rows[numbers])],
        total=len(rows),
        checked=True,
        opened=partial(_opened, path.absolute(), manifest.to_bytes()),
    )


def _opened(path: Path, manifest: bytes) -> "IndexFeatures":
    """The features of an index whose newest version is still the one with this manifest."""
    version = open_index(path, cache=False).version
    if version.manifest.to_bytes() != manifest:
        raise DataError(f"{path} has another version than when the clustering began; run the same command again")
    return IndexFeatures(version, np.flatnonzero(~version.objects))


class IndexFeatures:
    """The features of some rows of an index, each checked when it is read.

    Args:
        version: of the index.
        rows: (N,) int64, ascending.

    Attributes:
        shape: (N, F).
        dtype: float16, as they are stored.
    """

    dtype: np.dtype[Any] = np.dtype(np.float16)

    def __init__(self, version: Version, rows: NDArray[np.int64]) -> None:
        self._version, self._rows = version, rows
        self.shape = (len(rows), version.manifest.feature_size)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any, /) -> NDArray[np.float16]:
        """(m, F) of rows by a slice, or by their numbers; `StoreError` where one is damaged."""
        return self._version.read_features(self._rows[rows])
