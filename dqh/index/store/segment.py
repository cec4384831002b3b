"""A segment: some rows of an index with their codes and features, written once and never changed.

Rows and codes are checked when a segment is opened, features row by row whenever they are read. An opened segment
keeps no file open: rows, codes and checksums are in memory (⌈B / 8⌉ + 4 bytes a row beside the rows), features are a
memory map.

n rows, B bits a code, F feature dimensions.
"""

import functools
import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.codes import code_bytes
from dqh.errors import StoreError
from dqh.files import open_regular
from dqh.index.store.durable import make_folder, synced, write_new
from dqh.index.store.manifest import SEGMENTS, Manifest, SegmentEntry
from dqh.index.store.rows import Row, StoredRow, parquet_bytes, read_parquet
from dqh.native.extension import extension
from dqh.native.row_checksums import row_crc32
from dqh.native.row_distances import checked_distances
from dqh.npy import map_npy, npy_parts, npy_size, read_npy

_CRC = np.dtype("<u4")
_FEATURE = np.dtype("<f2")
_EXPONENT = np.uint16(0x7C00)
_BLOCK = 2**18
"""Values that are looked at together."""


def write_segment(
    root: Path,
    name: str,
    *,
    ids: NDArray[np.int64],
    rows: Sequence[Row | StoredRow],
    codes: NDArray[np.uint8],
    features: NDArray[np.float16],
) -> SegmentEntry:
    """Write and flush a segment, which belongs to no version yet.

    Of at least one row, checked: ids (n,) int64, codes (n, ⌈B / 8⌉) uint8, and features (n, F) float16.

    Raises:
        OSError: it cannot be written, or something of this name is there; what was written stays.
    """
    folder = root / SEGMENTS / name
    make_folder(folder.parent)
    make_folder(folder, new=True)
    features = np.ascontiguousarray(features, _FEATURE)
    files = {
        "rows.parquet": write_new(folder / "rows.parquet", [parquet_bytes(ids, rows)]),
        "codes.npy": write_new(folder / "codes.npy", npy_parts(np.ascontiguousarray(codes))),
        "features.npy": write_new(folder / "features.npy", npy_parts(features)),
        "crc.npy": write_new(folder / "crc.npy", npy_parts(row_checksums(features))),
    }
    synced(folder)
    return SegmentEntry(name, len(rows), files)


def row_checksums(features: NDArray[np.float16]) -> NDArray[np.uint32]:
    """(n,) uint32, the CRC-32 of the bytes of each row of C-contiguous features (n, F)."""
    kernels, isal = extension(), _isal_crc32()
    if isal is None and kernels is not None and kernels.instruction_set() != "portable":
        return row_crc32(features, kernels=kernels)
    return np.fromiter(map(isal or zlib.crc32, features), _CRC, count=len(features))


def is_finite(features: NDArray[np.float16]) -> bool:
    """Whether C-contiguous features (n, F) are free of NaN and infinity, both of which have all bits of the exponent.

    It is `np.isfinite(features).all()`, which has to convert each value, at a twentieth of the time.
    """
    bits = features.reshape(-1).view(np.uint16)
    exponents = np.empty(min(len(bits), _BLOCK), np.uint16)  # small enough for the cache of a core
    for start in range(0, len(bits), _BLOCK):
        block = bits[start : start + _BLOCK]
        np.bitwise_and(block, _EXPONENT, out=exponents[: len(block)])
        if exponents[: len(block)].max() == _EXPONENT:
            return False
    return True


@functools.cache
def _isal_crc32() -> Callable[[Any], int] | None:
    """CRC-32 of `isal`, twice as quick as `dqh._native` and 8 times as zlib; None without the extra `speed`."""
    try:
        from isal import isal_zlib
    except ImportError:
        return None
    quick: Callable[[Any], int] = isal_zlib.crc32
    return quick


class Segment:
    """A segment as it is read.

    Attributes:
        table: its rows, with the columns of `dqh.index.store.rows.SCHEMA`.
        ids: (n,) int64.
        codes: (n, ⌈B / 8⌉) uint8, read-only.

    Args:
        root: folder of the index.
        entry: what the manifest says of the segment.
        bits: B.
        feature_size: F.
        objects: whether rows may be objects.

    Raises:
        FileNotFoundError: a file is missing.
        OSError: a file cannot be read, or is no regular file.
        StoreError: rows, codes or checksums are damaged, codes have bits beyond B, or the file of the features has
            another size or header.
    """

    def __init__(self, root: Path, entry: SegmentEntry, *, bits: int, feature_size: int, objects: bool = False) -> None:
        self._folder = root / SEGMENTS / entry.name
        self._entry = entry
        self.table: Any = self._parsed(objects)
        self.ids: NDArray[np.int64] = self.table["id"].to_numpy()
        self.codes: NDArray[np.uint8] = self._checked("codes.npy", np.uint8, (entry.rows, code_bytes(bits)))
        if bits % 8 and int(self.codes[:, -1].max()) >> bits % 8:
            raise self._damaged("codes.npy", f"it has bits set beyond the {bits} of a code")
        self._crc: NDArray[np.uint32] = self._checked("crc.npy", _CRC, (entry.rows,))
        self._features: NDArray[np.float16]
        self._features, self._mapped = self._array("features.npy", _FEATURE, (entry.rows, feature_size), map_npy)
        # found again where the process changes its folder
        self._place = os.path.abspath(self._file("features.npy"))  # noqa: PTH100 (a link on the way stays one)

    def __len__(self) -> int:
        return self._entry.rows

    def features(self, rows: NDArray[np.int64], *, out: NDArray[np.float16] | None = None) -> NDArray[np.float16]:
        """A copy (m, F) of the features of some rows of the segment, each as it was written; `out` is C-contiguous.

        Raises:
            StoreError: a row is damaged, or holds NaN or infinity.
        """
        self._require_whole()
        assert ((rows >= 0) & (rows < len(self))).all()
        copy = np.empty((len(rows), self._features.shape[1]), _FEATURE) if out is None else out
        np.take(self._features, rows, axis=0, out=copy, mode="clip")  # other modes copy twice
        wrong = np.flatnonzero(row_checksums(copy) != self._crc[rows])
        if len(wrong):
            raise StoreError(
                f"{self._file('features.npy')} is damaged in {len(wrong)} of {len(rows)} rows read, first row "
                f"{rows[wrong[0]]}; run dqh check, and copy the index again"
            )
        if not is_finite(copy):
            first = rows[~np.isfinite(copy).all(axis=1)][0]
            raise StoreError(
                f"{self._file('features.npy')} holds NaN or infinity, first in row {first}, and was written so; run "
                "dqh check, and make the index anew"
            )
        return copy

    def squared_l2(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """(m,) float32, squared L2 distances of a query (F,) to the features of some rows, each checked as it is read.

        None where one is damaged or a distance is not finite, which `features` tells apart, or without the kernels.
        """
        kernels = extension()
        if kernels is None or kernels.instruction_set() == "portable":
            return None
        self._require_whole()
        distances = checked_distances(query, self._features, rows, checksums=self._crc, kernels=kernels)
        return distances if np.isfinite(distances).all() else None

    def _parsed(self, objects: bool) -> Any:
        file = self._file("rows.parquet")
        entry = self._entry.files["rows.parquet"]
        with open_regular(file) as opened:
            if (size := os.fstat(opened.fileno()).st_size) != entry.size:
                raise self._damaged("rows.parquet", f"it has {size} bytes, wanted {entry.size}")
            content = opened.read()
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise self._damaged("rows.parquet", "it does not match the hash in the manifest")
        try:
            return read_parquet(content, self._entry.rows, objects=objects)
        except ValueError as error:
            raise self._damaged("rows.parquet", str(error)) from error

    def _require_whole(self) -> None:
        """Refuse a file of features that was cut off: a map of it ends the process when it is read behind the end.

        A name that is gone, or belongs to another file, was removed by a writer; what is mapped then has no name
        by which it could be cut off.
        """
        try:
            status = os.stat(self._place)  # noqa: PTH116 (not made anew for each search)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise StoreError(f"{self._place} cannot be read any more: {error}") from error
        if os.path.samestat(status, self._mapped) and status.st_size != self._mapped.st_size:
            raise StoreError(f"{self._place} was cut off while it was open; copy the index again")

    def _checked(self, name: str, dtype: Any, shape: tuple[int, ...]) -> Any:
        """The array of a file, compared with its hash."""
        array, digest = self._array(name, dtype, shape, read_npy), hashlib.sha256()
        for part in npy_parts(array):
            digest.update(part)
        if digest.hexdigest() != self._entry.files[name].sha256:
            raise self._damaged(name, "it does not match the hash in the manifest")
        return array

    def _array(self, name: str, dtype: Any, shape: tuple[int, ...], read: Callable[..., Any]) -> Any:
        """What `read` makes of a file whose size, shape and header are as the manifest says."""
        size = self._entry.files[name].size
        try:
            if size != npy_size(dtype, shape):
                raise ValueError(f"the manifest gives {size} bytes, wanted {npy_size(dtype, shape)}")
            return read(self._file(name), dtype, shape)
        except ValueError as error:
            raise self._damaged(name, str(error)) from error

    def _file(self, name: str) -> Path:
        return self._folder / name

    def _damaged(self, name: str, what: str) -> StoreError:
        return StoreError(f"{self._file(name)} is damaged: {what}; run dqh check, and copy the index again")


def open_segment(root: Path, manifest: Manifest, entry: SegmentEntry) -> Segment:
    """A segment of a version; errors as of `Segment`."""
    return Segment(
        root,
        entry,
        bits=manifest.bits,
        feature_size=manifest.feature_size,
        objects=manifest.detector_id is not None,
    )
