"""One version of an index, opened: its rows in the order of their ids, deleted ones left out.

Row r, from 0 to N − 1, is the r-th smallest id. Maps are held, so that nothing that a writer does changes what is read.

N rows that are not deleted, B bits a code, F feature dimensions.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dqh.codes import code_bytes
from dqh.encoded import Encoded
from dqh.errors import StoreError
from dqh.files import open_regular
from dqh.index.store.manifest import QUANTIZER, Manifest
from dqh.index.store.place import require_no_links
from dqh.index.store.rows import SCHEMA, StoredRow, stored_rows
from dqh.index.store.segment import Segment, open_segment
from dqh.index.store.tags import Tag, read_tags, sound_tags
from dqh.quantizers import QUANTIZERS, Quantizer
from dqh.tensors import read_arrays

_BLOCK = 2**18
"""Rows looked at together."""


class Batch(NamedTuple):
    """Some rows with all that is stored: (n, ⌈B / 8⌉) uint8 codes, (n, F) float16 features, each row checked."""

    rows: list[StoredRow]
    codes: NDArray[np.uint8]
    features: NDArray[np.float16]


class Version:
    """The content of an index as of one version.

    Attributes:
        manifest: what it consists of.
        quantizer: what makes codes of embeddings.
        positions: (N,) int64, where each row stands among the rows of all segments.
        ids: (N,) int64, ascending.

    Raises:
        FileNotFoundError: a file is missing.
        OSError: a file cannot be read, is no regular file, or lies behind a link.
        StoreError: a file is damaged, or contradicts the others.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        require_no_links(path, manifest)
        self.path = path
        self.manifest = manifest
        self.quantizer = read_quantizer(path, manifest)
        self._segments = [open_segment(path, manifest, entry) for entry in manifest.segments]
        self._ends = np.cumsum([len(segment) for segment in self._segments], dtype=np.int64)
        ids = np.concatenate([segment.ids for segment in self._segments] or [np.empty(0, np.int64)])
        live = np.flatnonzero(~deleted_rows(path, manifest))
        self.positions: NDArray[np.int64] = live[np.argsort(ids[live], kind="stable")]
        self.ids: NDArray[np.int64] = ids[self.positions]
        if len(ids) and (ids.min() < 0 or ids.max() >= manifest.next_id or (np.diff(self.ids) == 0).any()):
            raise StoreError(f"{path / manifest.name} does not fit its rows: an id is there twice, or out of range")
        self._tags = None if manifest.tags is None else read_tags(path, manifest.tags)  # a writer may remove the file

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def objects(self) -> NDArray[np.bool_]:
        """(N,) which rows are objects that a detector saw in an image."""
        seen = [np.empty(0, np.bool_)]
        for start in range(0, len(self) if self.manifest.detector_id is not None else 0, _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(self)))
            seen.append(self.column("object", rows).is_valid().to_numpy(zero_copy_only=False))
        return np.concatenate(seen) if len(seen) > 1 else np.zeros(len(self), np.bool_)

    @cached_property
    def tags(self) -> Mapping[str, tuple[Tag, ...]]:
        """The tags of images by their paths, those of each by falling weight; `StoreError` where they make no sense."""
        entry = self.manifest.tags
        return {} if entry is None or self._tags is None else sound_tags(self._tags, self.path, entry)

    def require_objects(self) -> None:
        """Raise `ValueError` where the index was made without a detector."""
        if self.manifest.detector_id is None:
            raise ValueError(
                f"{self.path} has no objects, it was made without a detector; put the images and their objects into a "
                "new index: dqh index ARTIFACT IMAGES --objects DETECTOR --out NEW"
            )

    def images(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m,) of which image each of some rows is: numbers that are equal where the paths are, for this call alone."""
        if not len(rows):
            return np.empty(0, np.int64)
        paths = self.column("path", rows).dictionary_encode()
        return np.asarray(paths.indices.to_numpy(zero_copy_only=False), np.int64)

    @property
    def features(self) -> "Features":
        """(N, F) float16; indexing them with rows reads and checks these."""
        return Features(self)

    def codes(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(m, ⌈B / 8⌉) uint8, the codes of some rows."""
        out = np.empty((len(rows), code_bytes(self.manifest.bits)), np.uint8)
        for segment, local, where in self._parts(rows):
            out[where] = segment.codes[local]
        return out

    def read_features(self, rows: NDArray[np.int64], *, out: NDArray[np.float16] | None = None) -> NDArray[np.float16]:
        """(m, F) float16, the features of some rows, each as it was written; `out` is C-contiguous.

        Raises:
            StoreError: a row is damaged.
        """
        if out is None:
            out = np.empty((len(rows), self.manifest.feature_size), np.float16)
        for segment, local, where in self._parts(rows):
            run = out[where[0] : where[-1] + 1]
            if len(run) == len(where):  # so it is where rows ascend, as those of a pool do
                segment.features(local, out=run)
            else:
                out[where] = segment.features(local)
        return out

    def squared_l2(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """(m,) of a query (F,) to the features of some rows, checked; None as of `Segment.squared_l2`."""
        out = np.empty(len(rows), np.float32)
        for segment, local, where in self._parts(rows):
            distances = segment.squared_l2(query, local)
            if distances is None:
                return None
            out[where] = distances
        return out

    def row_of(self, number: int) -> int | None:
        """Where the row of an id stands; None where no row has it."""
        row = int(np.searchsorted(self.ids, number))
        return row if row < len(self.ids) and self.ids[row] == number else None

    def encoded(self, row: int) -> Encoded:
        """A row as a query: an embedding that has its code, and its features; no image is read.

        Raises:
            StoreError: its features are damaged.
        """
        rows = np.array([row])
        codes = self.codes(rows)
        return Encoded(codes, self.quantizer.preimage(codes), self.read_features(rows), self.manifest.encoder_id)

    def rows(self, rows: NDArray[np.int64]) -> list[StoredRow]:
        """What is known of some rows, in the order given."""
        by_id: dict[int, StoredRow] = {}
        for segment, local, where in self._parts(rows):
            by_id.update(zip(where.tolist(), stored_rows(segment.table.take(pa.array(local))), strict=True))
        return [by_id[number] for number in range(len(rows))]

    def column(self, name: str, rows: NDArray[np.int64]) -> Any:
        """A column of `dqh.index.store.rows.SCHEMA` for some rows, at least one, as an array of pyarrow."""
        parts = [(where, segment.table[name].take(pa.array(local))) for segment, local, where in self._parts(rows)]
        values = pa.chunked_array([chunk for _, part in parts for chunk in part.chunks], SCHEMA.field(name).type)
        order = np.argsort(np.concatenate([where for where, _ in parts]))
        return values.take(pa.array(order)).combine_chunks()

    def batches(self, size: int) -> Iterator[Batch]:
        """All rows in the order of their ids, `size` at a time; `StoreError` where features are damaged."""
        for start in range(0, len(self), size):
            rows = np.arange(start, min(start + size, len(self)))
            yield Batch(self.rows(rows), self.codes(rows), self.read_features(rows))

    def _parts(self, rows: NDArray[np.int64]) -> Iterator[tuple[Segment, NDArray[np.int64], NDArray[np.int64]]]:
        """Each segment that holds some of `rows`, their rows in it, and where they stand in `rows`."""
        positions = self.positions[rows]
        if len(self._segments) == 1 and len(rows):
            yield self._segments[0], positions, np.arange(len(rows))
            return
        owner = np.searchsorted(self._ends, positions, side="right")
        for number in np.flatnonzero(np.bincount(owner)).tolist():
            where = np.flatnonzero(owner == number)
            segment = self._segments[number]
            yield segment, positions[where] - (self._ends[number] - len(segment)), where


class Features:
    """The features of a version as an array of which only rows can be read: what `dqh.index.rerank` reads from."""

    dtype = np.dtype(np.float16)
    ndim = 2

    def __init__(self, version: Version) -> None:
        self._version = version
        self.shape = (len(version.ids), version.manifest.feature_size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """(m, F) float16 of m rows; `StoreError` where one is damaged."""
        return self._version.read_features(rows)

    def take(self, rows: NDArray[np.int64], *, axis: int, out: NDArray[np.float16], mode: str) -> NDArray[np.float16]:
        """The same, into `out` (m, F), C-contiguous; called as `numpy.ndarray.take` is, with axis 0."""
        assert axis == 0, mode
        return self._version.read_features(rows, out=out)

    def squared_l2(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Squared L2 distances of a query (F,) to m rows, (m,), without a copy of them; None where `take` is needed."""
        return self._version.squared_l2(query, rows)


def deleted_rows(path: Path, manifest: Manifest) -> NDArray[np.bool_]:
    """(all rows of all segments,) which of them are deleted.

    Raises:
        FileNotFoundError: the bitmap is missing.
        StoreError: it is damaged.
    """
    if manifest.bitmap is None or manifest.deleted is None:
        return np.zeros(manifest.rows, np.bool_)
    file = path / manifest.bitmap
    size = -(-manifest.rows // 8)
    content = _read(file, manifest.deleted.size) if manifest.deleted.size == size else b""
    if hashlib.sha256(content).hexdigest() != manifest.deleted.sha256:
        raise StoreError(f"{file} is damaged: it does not match the hash in {manifest.name}; copy the index again")
    deleted = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little").astype(np.bool_)
    if deleted[manifest.rows :].any() or int(deleted.sum()) != manifest.deleted_rows:
        raise StoreError(f"{file} marks {deleted.sum()} rows, {manifest.name} says {manifest.deleted_rows}")
    return deleted[: manifest.rows]


def read_quantizer(path: Path, manifest: Manifest) -> Quantizer:
    """What makes codes of embeddings.

    Raises:
        FileNotFoundError: its file is missing.
        StoreError: it is damaged, or of an unknown kind.
    """
    file, entry = path / QUANTIZER, manifest.quantizer
    content = _read(file, entry.size)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise StoreError(f"{file} is damaged: it does not match the hash in {manifest.name}; copy the index again")
    try:
        kind, state = QUANTIZERS[manifest.code_kind], read_arrays(content)
        return kind.from_state(manifest.bits, state, distance=manifest.code_distance)
    except (KeyError, ValueError) as error:
        raise StoreError(
            f"{file} does not hold a {manifest.code_kind} quantizer: {error}; copy the index again, or make it anew"
        ) from error


def _read(file: Path, size: int) -> bytes:
    """The content of a file; nothing where it has another size."""
    with open_regular(file) as opened:
        return opened.read(size) if os.fstat(opened.fileno()).st_size == size else b""
