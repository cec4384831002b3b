"""Tables of encoded images in Parquet files, as data hubs publish them. Needs pyarrow, imported at use."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, chain, compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.caps import MAX_PIXELS
from dqh.data.classes import number_classes
from dqh.data.data_file import require_files
from dqh.data.images import Limits
from dqh.data.listed import ListedSource, Listing
from dqh.data.parquet_table import Labels, Table, Tables, unnamed
from dqh.data.pixels import MAX_BYTES, decode
from dqh.data.skipped import check_unusable
from dqh.data.source import content_hash, part_ids, part_roles
from dqh.errors import ConfigError, DataError


class Parquet(ListedSource):
    """Encoded images with one label each: column `image` or `img`, a binary or a struct {bytes, path}.

    The label is an integer or a text; whole floats and bools are integers. Where the schema's Hugging Face metadata
    names the classes, integers count these names from 0; else the distinct values are the classes, in order, named by
    themselves.

    Ids are `role/row`, the rows of a role's files counted through. A row whose label is null, negative, without a name
    where others have one, or damaged makes no row here: it is unusable like an image that cannot be read, and more than
    `max_bad_fraction` of them stop the run. Of a damaged row group, only its own rows are lost. Row groups are read
    when one of their rows is, and one is kept, so that reading in the order of the rows is fast and memory is bounded.

    Args:
        root: the folder that all paths are relative to.
        query: the file of the queries; a pattern such as `test-*.parquet` stands for all files that match, sorted.
        database: the file of the database.
        train: the file of the images to train on.
        validation: the file of the images that choose the epoch.
        test: the file of the official test part.
        label: the column of the labels, integers of at least 0 or texts.
        max_bad_fraction: the largest fraction of unusable images that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an encoded image, bytes.
        name: what reports call the data set; None for the name of the folder `root`.
        size: side in pixels that suits the images; None where sizes vary.

    Raises:
        ConfigError: a value is impossible, or no file is given.
        DataError: a file is missing, no regular file, or cannot be read.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        query: str | None = None,
        database: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        label: str = "label",
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__(Path(root), name, otherwise="parquet", max_bad_fraction=max_bad_fraction)
        self.size = size
        self._limits = Limits(max_pixels, max_bytes)
        self._label = label
        parts = {"train": train, "database": database, "validation": validation, "query": query, "test": test}
        self._paths = {role: _find(Path(root), file) for role, file in parts.items() if file is not None}
        if not self._paths:
            raise ConfigError("parquet: no file is given; wanted at least one of query, database, train, test")

    def read(self, row: int) -> Image.Image:
        """The RGB image; `BadImageError` where there is none, it cannot be decoded, or its row group is damaged."""
        return decode(self._content(row), max_pixels=self._limits.max_pixels)

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the encoded image of a row; `BadImageError` where there is none."""
        return content_hash(self._content(row))

    def _content(self, row: int) -> bytes:
        if not 0 <= row < len(self):
            raise IndexError(f"row must be in 0 … {len(self) - 1}, got {row}")
        table, inside = self._found[1][row].tolist()
        return self._tables.content(table, inside, max_bytes=self._limits.max_bytes)

    @cached_property
    def _tables(self) -> Tables:
        """Every file, in the order of the rows."""
        return Tables([path for paths in self._paths.values() for path in paths])

    @property
    def _listing(self) -> Listing:
        return self._found[0]

    @cached_property
    def _found(self) -> tuple[Listing, NDArray[np.int64]]:
        """What is known of the usable rows; (N, 2) their tables and rows in these."""
        parts = [_labels_of(table, self._label) for table in self._tables]
        counts = [len(part.empty) for part in parts]
        if not sum(counts):
            raise DataError(f"no rows in {', '.join(str(table.path) for table in self._tables)}")
        sizes = dict.fromkeys(self._paths, 0)
        for role, count in zip(
            chain(*([role] * len(paths) for role, paths in self._paths.items())), counts, strict=True
        ):
            sizes[role] += count
        ids, usable = part_ids(sizes), np.ones(sum(counts), dtype=np.bool_)
        unusable: dict[str, str] = {}
        for start, part in zip(accumulate(counts, initial=0), parts, strict=False):
            usable[[start + row for row in part.faults]] = False
            unusable |= {str(ids[start + row]): part.faults[row] for row in sorted(part.faults)}
        check_unusable(unusable, total=len(ids), source=self, noun="row")
        labels, class_names = self._classes(parts, usable)
        places = [np.stack([np.full(count, number), np.arange(count)], axis=1) for number, count in enumerate(counts)]
        kept = np.cumsum(usable) - 1  # the row of what is usable
        listing = Listing(
            ids=ids[usable],
            labels=labels,
            class_names=class_names,
            roles={role: kept[rows[usable[rows]]] for role, rows in part_roles(sizes).items()},
            unusable=unusable,
            unlisted={},
        )
        return listing, np.concatenate(places)[usable]

    def _classes(self, parts: Sequence[Labels], usable: NDArray[np.bool_]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """The class of each usable row, and the names of the classes."""
        named = {names for table in self._tables if (names := table.class_names(self._label))}
        if len(named) > 1:
            raise DataError(f"the files of {self.name} name their classes differently: {sorted(named)}")
        parts = [part for part in parts if len(part.empty)]
        texts = [part.values for part in parts if isinstance(part.values, list)]
        if texts and len(texts) < len(parts):
            raise DataError(f"{self._label!r} holds integers in some files of {self.name} and texts in others")
        if texts:
            return number_classes(list(compress(chain(*texts), usable)), where=self.name)
        values = np.concatenate([part.values for part in parts])[usable]
        return (values, named.pop()) if named else number_classes(values, where=self.name)


def _labels_of(table: Table, column: str) -> Labels:
    """The labels of a table, where a row without one, or of a number that has no name, has a fault."""
    labels = table.labels(column)
    names = table.class_names(column)
    faults = dict.fromkeys(np.flatnonzero(labels.empty).tolist(), f"{column!r} is null")
    if names and not isinstance(labels.values, list):
        faults |= {
            row: unnamed(int(labels.values[row]), names) for row in np.flatnonzero(labels.values >= len(names)).tolist()
        }
    return labels._replace(faults=faults | labels.faults)


def _find(root: Path, pattern: str) -> list[Path]:
    advice = "put the file there"
    if not any(sign in pattern for sign in "*?["):
        require_files([root / pattern], kind="Parquet file", advice=advice)
        return [root / pattern]
    paths = sorted(path for path in root.glob(pattern) if not path.is_dir())
    if not paths:
        raise DataError(f"Parquet file not found: looked for {root / pattern}; {advice}")
    require_files(paths, kind="Parquet file", advice=advice)
    return paths
