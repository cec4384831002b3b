"""Other labels for images whose content is the same."""

from collections.abc import Sequence

import numpy as np

from dqh.errors import StoreError
from dqh.index.store.live_rows import Known
from dqh.index.store.rows import Row
from dqh.index.store.writer import Writer

_BLOCK = 4096
"""Rows whose features are read together."""


def relabel(writer: Writer, rows: Sequence[Row]) -> None:
    """Put other labels on images that an index has; ids, codes and features stay. Commit afterwards.

    Path, box and content hash of a row are those that the index has.

    Raises:
        ValueError: the index does not have such a row.
        StoreError: a row was not committed yet, or features are damaged, or a segment cannot be written.
    """
    known = [_known(writer, row) for row in rows]
    if not known:
        return
    manifest = writer.manifest
    if manifest is None or max(row.position for row in known) >= manifest.rows:
        raise StoreError(f"{writer.path} has rows among them that are not committed; call commit() first")
    version = writer.opened()
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        places = np.searchsorted(version.ids, [row.id for row in known[part]])
        writer.replace(rows[part], version.codes(places), version.read_features(places))


def _known(writer: Writer, row: Row) -> Known:
    known = writer.find(row.path, row.box)
    if known is None or known.content_hash != row.content_hash:
        raise ValueError(f"{row.path!r} is not in the index with this content; add or replace it")
    return known
