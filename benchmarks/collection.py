"""A collection whose every row follows from its id and the version that wrote it, and a plan of versions.

What an index must hold and answer at version v is computed here without the index.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.encoded import Encoded
from dqh.index.store import Header, Row, Writer
from dqh.quantizers import Threshold

BITS, FEATURES, ENCODER = 64, 64, "c0de" * 16
HEADER = Header(ENCODER, Threshold(BITS), FEATURES, root="/photos")
KINDS = 5
COMPACTION = 6
"""Every sixth version is a compaction."""


def payload(ids: NDArray[np.int64], versions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Embeddings (n, 64) and features (n, 64) of rows, from a hash of id, version and column (splitmix64)."""
    column = np.arange(BITS + FEATURES, dtype=np.uint64)
    seed = ids.astype(np.uint64) * np.uint64(2**32 + 15) + versions.astype(np.uint64) * np.uint64(2**20 + 7)
    mixed = seed[:, None] * np.uint64(0x9E3779B97F4A7C15) + column * np.uint64(0xD1B54A32D192ED03)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    values = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) / 2**24
    return values[:, :BITS], values[:, BITS:].astype(np.float16)


def row_of(number: int, version: int) -> Row:
    """The row of an id as a version wrote it."""
    mark = number.to_bytes(8, "little") + version.to_bytes(8, "little")
    return Row(f"{number}\udcff.jpg", (f"v{version}", f"class {number % KINDS}"), None, mark)


def queries(ids: NDArray[np.int64], version: int) -> Encoded:
    """Queries that are no rows: negative seeds."""
    embedding, features = payload(ids + 2**40, np.full(len(ids), version))
    return Encoded(HEADER.quantizer.encode(embedding), embedding, features, ENCODER)


class Plan:
    """What each version changes, and what it holds.

    Attributes:
        version: reached so far.
        written: (ids given so far,) the version that wrote each row, 0 where it is deleted.
        codes: (ids given so far, 8) uint8.
        features: (ids given so far, 64) float16.

    Args:
        rows: of version 1.
        changes: rows added, and half as many replaced and deleted, by each further version.
    """

    def __init__(self, rows: int, changes: int) -> None:
        self._rows, self._changes = rows, changes
        self.version = 0
        self.written = np.empty(0, np.int64)
        self.codes = np.empty((0, BITS // 8), np.uint8)
        self.features = np.empty((0, FEATURES), np.float16)

    @property
    def live(self) -> NDArray[np.int64]:
        """Ids that are not deleted, ascending."""
        return np.flatnonzero(self.written)

    def advance(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Go to the next version; the ids that it adds, replaces and deletes, all empty for a compaction."""
        self.version += 1
        nothing = np.empty(0, np.int64)
        if self.version % COMPACTION == 0:
            return nothing, nothing, nothing
        count = self._rows if self.version == 1 else self._changes
        chosen = nothing
        if self.version > 1:
            drawn = np.random.default_rng(self.version).permutation(self.live)
            chosen = drawn[: 2 * (self._changes // 2)]
        replaced, deleted = np.sort(chosen[::2]), np.sort(chosen[1::2])
        added = np.arange(len(self.written), len(self.written) + count)
        self.written = np.concatenate([self.written, np.full(count, self.version)])
        self.written[replaced], self.written[deleted] = self.version, 0
        embedding, features = payload(added, np.full(count, self.version))
        self.codes = np.concatenate([self.codes, HEADER.quantizer.encode(embedding)])
        self.features = np.concatenate([self.features, features])
        embedding, features = payload(replaced, np.full(len(replaced), self.version))
        self.codes[replaced], self.features[replaced] = HEADER.quantizer.encode(embedding), features
        return added, replaced, deleted

    def to(self, version: int) -> "Plan":
        """Go on to a version."""
        while self.version < version:
            self.advance()
        return self

    def make(self, writer: Writer) -> None:
        """Make the next version with a writer that stands at the present one."""
        added, replaced, deleted = self.advance()
        if not len(added):
            writer.compact()
            return
        for ids, change in ((added, writer.add), (replaced, writer.replace)):
            rows = [row_of(number, self.version) for number in ids.tolist()]
            given = change(rows, self.codes[ids], self.features[ids])
            assert given.tolist() == ids.tolist()
        writer.delete(deleted)
        assert writer.commit() == self.version

    def answers(
        self, encoded: Encoded, *, k: int, pool: int, kind: int | None = None
    ) -> list[list[tuple[int, str, tuple[str, ...], float]]]:
        """What a search must find: id, path, labels and Hamming distance, by sorting everything.

        Args:
            encoded: the queries.
            k: answers a query.
            pool: candidates a query.
            kind: only rows with the label `class <kind>`.
        """
        live = self.live if kind is None else self.live[self.live % KINDS == kind]
        found = []
        for code, features in zip(encoded.codes, encoded.features, strict=True):
            coarse = np.bitwise_count(self.codes[live] ^ code).sum(axis=1, dtype=np.int64)
            near = np.lexsort((live, coarse))[:pool]
            difference = self.features[live[near]].astype(np.float32) - features.astype(np.float32)
            fine = np.einsum("mf,mf->m", difference, difference)
            best = near[np.lexsort((live[near], fine))[:k]]
            rows = [(number, row_of(number, int(self.written[number]))) for number in live[best].tolist()]
            found.append(
                [
                    (number, row.path, row.labels, float(bits))
                    for (number, row), bits in zip(rows, coarse[best], strict=True)
                ]
            )
        return found


def go_on(path: Path, plan: Plan, version: int, *, segment_rows: int = 64) -> None:
    """Make the versions of a plan that an index lacks, up to `version`; the plan is a new one."""
    with Writer(path, HEADER, segment_rows=segment_rows) as writer:
        plan.to(writer.manifest.version if writer.manifest else 0)
        while plan.version < version:
            plan.make(writer)
