"""The rows of one version of an index as other systems get them: live ones only, checked, some at a time.

n rows of a part, B bits a code, F feature dimensions.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dqh import terminal
from dqh.codes import code_bytes
from dqh.errors import StoreError
from dqh.index.store.manifest import QUANTIZER, Manifest
from dqh.index.store.place import at_newest
from dqh.index.store.rows import StoredRow, to_bytes, to_text
from dqh.index.store.version import Batch, Version
from dqh.index.ways import main_way
from dqh.plural import counted

BIT_ORDER = "low bits first: bit b of a code is bit b mod 8 of byte b // 8"

_PART_BYTES = 32 * 2**20
_PART_ROWS = 2**14
_ROW_BYTES = 1024
"""What is known of a row beside its code and features, roughly."""


class IndexContent:
    """The newest version of an index, opened. What a writer does later changes nothing of it.

    Attributes:
        version: its rows, codes and features.
        bits: B.
        feature_size: F.
        way: by which codes are searched.
        product: whether they are compared with embeddings of queries, and not with their codes.
        quantizer_file: content of `quantizer.safetensors`, what makes codes of embeddings.

    Raises:
        NoStoreError: there is no index.
        StoreError: it is damaged, incomplete, or of another format version.
    """

    def __init__(self, path: Path) -> None:
        self.version, self.quantizer_file = at_newest(path, lambda manifest: _opened(path, manifest))
        self.bits = self.version.manifest.bits
        self.feature_size = self.version.manifest.feature_size
        self.way = main_way(self.version.quantizer)
        self.product = self.way.asks == "embedding"

    def __len__(self) -> int:
        return len(self.version)

    @property
    def part_rows(self) -> int:
        """Rows that are read together, so that they take about 32 MiB."""
        row = 2 * self.feature_size + code_bytes(self.bits) + _ROW_BYTES
        return max(1, min(_PART_ROWS, _PART_BYTES // row))

    @cached_property
    def title(self) -> str:
        """What the rows are, and how many, in words."""
        objects = int(self.version.objects.sum())
        images = counted(len(self) - objects, "image")
        return images if self.version.manifest.detector_id is None else f"{images} and {counted(objects, 'object')}"

    @cached_property
    def about_objects(self) -> str:
        """A paragraph on them for a README; empty where the index is of whole images alone."""
        if self.version.manifest.detector_id is None:
            return ""
        return (
            "\nRows with an `object`, the class of what a detector saw in the box, and a `score` are parts of images.\n"
            "Rows without one are whole images; searches here look at both, and `object IS NULL` leaves whole "
            "images alone.\n"
        )

    @property
    def tagged(self) -> bool:
        """Whether images have tags."""
        return self.version.manifest.tags is not None

    def parts(self) -> Iterator[Batch]:
        """All live rows in the order of their ids, features checked; `StoreError` where they are damaged."""
        yield from self.version.batches(self.part_rows)

    def fields(self) -> dict[str, Any]:
        """What every form says of itself, as plain JSON values."""
        manifest = self.version.manifest
        of_tags = {} if manifest.tags is None else {"tagged_images": manifest.tags.images}
        of_objects = {} if manifest.detector_id is None else {"detector_id": manifest.detector_id}
        return (
            {
                "encoder_id": manifest.encoder_id,
                "precision": manifest.precision,
                "code_kind": manifest.code_kind,
                "bits": manifest.bits,
                "bit_order": BIT_ORDER,
                "distance": manifest.code_distance,
                "feature_size": manifest.feature_size,
                "feature_distance": "squared L2",
                "root": manifest.root,
                "version": manifest.version,
                "rows": len(self),
                "index_sha256": hashlib.sha256(manifest.to_bytes()).hexdigest(),
            }
            | of_objects
            | of_tags
        )

    @cached_property
    def escaped_labels(self) -> list[str]:
        """Labels that are no text everywhere, as `whole_text` gives them, sorted."""
        names: set[str] = set()
        for start in range(0, len(self), _PART_ROWS):
            rows = np.arange(start, min(start + _PART_ROWS, len(self)))
            labels = self.version.column("labels", rows).flatten().unique().to_pylist()
            names.update(whole_text(text) for text in map(to_text, labels) if plain(text) is None)
        return sorted(names)


def plain(text: str) -> str | None:
    r"""The text where every system can hold it: Unicode without the character 0; else None.

    Example:
        >>> plain("a.jpg"), plain(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))
        ('a.jpg', None)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return None if "\0" in text else text


def whole_text(text: str) -> str:
    r"""The text, bytes of it that no text holds as escapes.

    Example:
        >>> print(whole_text(b"caf\xe9".decode("utf-8", "surrogateescape")))
        caf\xe9
    """
    return to_bytes(text).decode("utf-8", "backslashreplace").replace("\0", r"\x00")


def code_span(text: str) -> str:
    r"""A text as code within a line of Markdown, whatever it holds.

    Example:
        >>> print(code_span("/photos"), code_span("two\nlines"), code_span("a`b``"))
        `/photos` `two\nlines` ``` a`b`` ```
    """
    line = terminal.shown(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    edge = " " if line[:1] in "` " or line[-1:] in "` " else ""  # one on either side is not part of the code
    return f"{fence}{edge}{line}{edge}{fence}"


def _opened(path: Path, manifest: Manifest) -> tuple[Version, bytes]:
    version, content = Version(path, manifest), (path / QUANTIZER).read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest.quantizer.sha256:
        raise StoreError(f"{path / QUANTIZER} changed while it was read; run dqh check, and copy the index again")
    return version, content


def path_of(row: StoredRow) -> tuple[str | None, bytes]:
    """The path as text, None where it is none, and as the bytes that name the file."""
    return plain(row.path), to_bytes(row.path)
