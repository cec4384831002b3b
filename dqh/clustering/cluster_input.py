"""What is clustered: the points of a file, with all that is known of them.

N points, B bits a code.
"""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.artifact.interface import load_interface
from dqh.artifact.manifest import is_artifact
from dqh.codes import code_bytes
from dqh.data.data_file import open_data
from dqh.data.features import read_labels
from dqh.data.list_file import read_list
from dqh.data.parquet_points import ColumnRows
from dqh.data.parquet_table import Table, pyarrow
from dqh.data.photo_files import located
from dqh.data.point_files import Kind, PointFile, Rows, open_points
from dqh.data.point_labels import PointLabels, labels_of_classes, labels_of_lists, labels_of_texts
from dqh.errors import DataError
from dqh.npy import map_any_npy
from dqh.quantizers import QUANTIZERS
from dqh.quantizers.product import ProductQuantizer, product_quantizer

_SAMPLED = 64
"""Rows by whose values a file is known again."""

_LABEL_COLUMNS, _PATH_COLUMN, _ID_COLUMN, _IMAGE_COLUMNS = ("label", "labels"), "path", "id", ("image", "img")


class ClusterInput(NamedTuple):
    """Points to cluster.

    Attributes:
        name: what they are called in messages.
        noun: what one of them is.
        identity: JSON by which the same points are known again.
        vectors: (N, D), or None.
        codes: gives (N, ⌈B / 8⌉) uint8; None where there are no codes.
        code_kind: `binary`, whose bits are compared one by one, or `pq`.
        bits: B; None where there are no codes.
        quantizer: of product-quantized codes.
        labels: of the points, or None.
        ids: (N,) int64, or None.
        paths: gives the paths of the pictures of some points, by their numbers; None where there are no pictures.
        total: N.
        held_bytes: that reading holds in memory, beside what is read.
        checked: whether vectors are known to be finite.
        opened: opens the vectors anew, in whatever process that sees them; None where there are none.
    """

    name: str
    noun: str
    identity: dict[str, Any]
    vectors: Rows | None
    codes: Callable[[], NDArray[np.uint8]] | None
    code_kind: str | None
    bits: int | None
    quantizer: ProductQuantizer | None
    labels: PointLabels | None
    ids: NDArray[np.int64] | None
    paths: Callable[[NDArray[np.int64]], list[str]] | None
    total: int
    held_bytes: int = 0
    checked: bool = False
    opened: Callable[[], Rows] | None = None


def file_input(
    path: Path,
    *,
    kind: Kind | None = None,
    column: str | None = None,
    bits: int | None = None,
    quantizer: Path | None = None,
    labels: Path | None = None,
    images: Path | None = None,
) -> ClusterInput:
    """The points of a file.

    Args:
        path: `.npy`, `.fvecs`, `.bvecs` or `.parquet`, see `dqh.data.point_files`.
        kind: how bytes are read; None: as the form of the file has it.
        column: of a table.
        bits: B of binary codes; None: 8 a byte, or as the table says.
        quantizer: what made product-quantized codes: an artifact, or an `.npy` file of codebooks (M, K, D / M).
        labels: an `.npy` file of classes, a row a point.
        images: a list file with a line a point: the path of its picture, and labels behind it.

    Raises:
        DataError: a file is missing, damaged, or does not fit another one.
        ArtifactError: the artifact is damaged.
    """
    points = open_points(path, kind=kind, column=column)
    count = len(points.rows)
    coded = _coded(path, points, bits, None if quantizer is None else read_quantizer(quantizer))
    table: Table | None = points.table
    listed = None if images is None else _listed(images, count, path)
    known = listed[1] if listed is not None else None
    if labels is not None:
        known = labels_of_classes(*read_labels(labels, count, of=str(path)))
    elif known is None and table is not None:
        known = _labels_of(table)
    paths = listed[0] if listed is not None else (None if table is None else _paths_of(table))
    identity = {"file": _identity(path, points)}
    for name, file in (("labels", labels), ("images", images), ("quantizer", quantizer)):
        if file is not None:
            identity[name] = file_digest(file)
    return ClusterInput(
        name=str(path),
        noun="row",
        identity=identity,
        vectors=points.vectors,
        codes=None if points.codes is None else lambda: np.asarray(_all(points.codes)),
        code_kind=coded[0],
        bits=coded[1],
        quantizer=coded[2],
        labels=known,
        ids=None if table is None else _ids_of(table),
        paths=paths,
        total=count,
        held_bytes=points.rows.held_bytes if isinstance(points.rows, ColumnRows) else 0,
        opened=None if points.vectors is None else partial(_opened, Path(located(str(path))), kind, column),
    )


def _opened(path: Path, kind: Kind | None, column: str | None) -> Rows:
    vectors = open_points(path, kind=kind, column=column).vectors
    assert vectors is not None  # it has been opened before, by who sent the path here
    return vectors


def read_quantizer(path: Path) -> ProductQuantizer:
    """The product quantizer of an artifact, or of codebooks (M, K, D / M) in an `.npy` file; `DataError` for others."""
    if is_artifact(path):
        quantizer = load_interface(path).quantizer
        if (product := product_quantizer(quantizer)) is None:
            raise DataError(f"{path} makes codes of the kind {quantizer.kind}, wanted a product quantizer")
        return product
    with open_data(path, kind="quantizer", advice="give an artifact, or an .npy file of codebooks") as file:
        try:
            return ProductQuantizer.from_codebooks(np.array(map_any_npy(file, path)))
        except (ValueError, OSError) as error:
            raise DataError(f"{path} is no .npy file of codebooks (M, K, D / M): {error}") from error


def file_digest(path: Path) -> str:
    """By which a file, or an artifact, is known again."""
    if is_artifact(path):
        return load_interface(path).encoder_id
    with open_data(path, kind="file", advice="put it there") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _all(codes: Rows | None) -> Any:
    return codes if isinstance(codes, np.ndarray) or codes is None else codes[:]


def _coded(
    path: Path, points: PointFile, bits: int | None, quantizer: ProductQuantizer | None
) -> tuple[str | None, int | None, ProductQuantizer | None]:
    """Kind, bits and quantizer of the codes of a file."""
    if points.codes is None:
        if quantizer is not None:
            raise DataError(f"a quantizer is of codes, {path} holds vectors; leave it off")
        return None, None, None
    width, told = points.codes.shape[1], _told_of_codes(points.table)
    if quantizer is not None:
        if code_bytes(quantizer.bits) != width:
            raise DataError(
                f"{path} has codes of {width} bytes, the quantizer makes codes of {quantizer.bits} bits; give the one "
                "that made them"
            )
        return "pq", quantizer.bits, quantizer
    kind = told.get("code_kind", "binary")
    if kind in QUANTIZERS and "hamming" not in QUANTIZERS[kind].distances and points.vectors is None:
        raise DataError(f"{path} has codes of the kind {kind}; give what made them: --quantizer ARTIFACT")
    own = bits or told.get("bits") or 8 * width
    if code_bytes(own) != width:
        raise DataError(f"{path} has codes of {width} bytes, which are not those of {own} bits")
    return kind, own, None


def _told_of_codes(table: Table | None) -> dict[str, Any]:
    """What the metadata of a table that `dqh export` wrote say of its codes."""
    metadata = {} if table is None else table.schema.metadata or {}
    told: dict[str, Any] = {}
    if b"code_kind" in metadata:
        told["code_kind"] = metadata[b"code_kind"].decode("utf-8", "replace")
    if metadata.get(b"bits", b"").isdigit():
        told["bits"] = int(metadata[b"bits"])
    return told


def _listed(
    images: Path, count: int, points: Path
) -> tuple[Callable[[NDArray[np.int64]], list[str]], PointLabels | None]:
    """What gives the paths of a list, and its labels."""
    lines = list(read_list(images, bare=True))
    if faults := [f"{line.where}: {line.fault}" for line in lines if line.fault]:
        raise DataError(f"{faults[0]}; each line of {images} must be of one row of {points}")
    if len(lines) != count:
        raise DataError(f"{images} has {len(lines):,} lines, {points} has {count:,} rows; give a line a row")
    folder = str(Path(located(str(images))).parent)
    texts = [line.path for line in lines]
    labels = [tuple(cell for cell in line.cells if cell) for line in lines]
    return (
        lambda rows: [located(texts[row], folder) for row in rows.tolist()],
        labels_of_texts(labels) if any(labels) else None,
    )


def _labels_of(table: Table) -> PointLabels | None:
    name = next((name for name in _LABEL_COLUMNS if name in table.columns), None)
    if name is None:
        return None
    types, kind = pyarrow("types"), table.schema.field(name).type
    if types.is_list(kind) or types.is_large_list(kind):
        parts = [table.column(number, name) for number in range(len(table.starts) - 1)]
        return labels_of_lists(pyarrow("lib").chunked_array(parts, kind).combine_chunks())
    values, empty, faults = table.labels(name)
    if faults:
        row, fault = next(iter(faults.items()))
        raise DataError(f"{table.path}: row {row}: {fault}")
    names = table.class_names(name)
    plain = values if isinstance(values, list) else values.tolist()
    texts = [names[value] if isinstance(value, int) and value < len(names) else str(value) for value in plain]
    return labels_of_texts(() if none else (text,) for text, none in zip(texts, empty, strict=True))


def _ids_of(table: Table) -> NDArray[np.int64] | None:
    if _ID_COLUMN not in table.columns or not pyarrow("types").is_integer(table.schema.field(_ID_COLUMN).type):
        return None
    parts = [table.column(number, _ID_COLUMN) for number in range(len(table.starts) - 1)]
    if any(part.null_count for part in parts):
        return None
    return np.concatenate([part.to_numpy().astype(np.int64) for part in parts])


def _paths_of(table: Table) -> Callable[[NDArray[np.int64]], list[str]] | None:
    """Paths of the pictures that a table holds, or names."""
    whole = located(str(table.path))
    if any(name in table.columns for name in _IMAGE_COLUMNS):
        return lambda rows: [f"{whole}#{row}" for row in rows.tolist()]
    types = pyarrow("types")
    if _PATH_COLUMN not in table.columns or not types.is_string(table.schema.field(_PATH_COLUMN).type):
        return None
    metadata = table.schema.metadata or {}
    folder = metadata.get(b"root", str(Path(whole).parent).encode()).decode("utf-8", "surrogateescape")
    texts = [text or "" for number in range(len(table.starts) - 1) for text in _texts(table, number)]
    return lambda rows: [located(texts[row], folder) for row in rows.tolist()]


def _texts(table: Table, group: int) -> list[str | None]:
    texts: list[str | None] = table.column(group, _PATH_COLUMN).to_pylist()
    return texts


def _identity(path: Path, points: PointFile) -> str:
    """A hash of shape, type, size and time of a file, and of some of its rows."""
    status = path.stat()
    digest = hashlib.sha256()
    for rows in (points.vectors, points.codes):
        if rows is not None:
            numbers = np.unique(np.linspace(0, len(rows) - 1, _SAMPLED).astype(np.int64))
            digest.update(json.dumps([rows.shape, rows.dtype.str]).encode())
            digest.update(np.ascontiguousarray(rows[numbers]).tobytes())
    digest.update(json.dumps([status.st_size, status.st_mtime_ns]).encode())
    return digest.hexdigest()
