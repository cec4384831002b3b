"""The index on disk: immutable segments, one self-hashed manifest a version, one writer, any number of readers."""

from dqh.index.store.checking import Check, Problem, Recall, check, measure_recall, recall_at
from dqh.index.store.found import Among, Found, Hit, Seconds
from dqh.index.store.header import Header
from dqh.index.store.live_rows import Known
from dqh.index.store.rows import Box, Row, StoredRow
from dqh.index.store.snapshot import Snapshot, open_index
from dqh.index.store.tags import Tag, Tags
from dqh.index.store.upkeep import Info, compact, info, relabel, remove
from dqh.index.store.writer import Writer

__all__ = [
    "Among",
    "Box",
    "Check",
    "Found",
    "Header",
    "Hit",
    "Info",
    "Known",
    "Problem",
    "Recall",
    "Row",
    "Seconds",
    "Snapshot",
    "StoredRow",
    "Tag",
    "Tags",
    "Writer",
    "check",
    "compact",
    "info",
    "measure_recall",
    "open_index",
    "recall_at",
    "relabel",
    "remove",
]
