"""From a source and its split to images that can be used: leaks checked, images decoded, unusable ones taken out."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.skipped import check_bad_fraction, report_skipped
from dqh.data.source import Source
from dqh.data.splits import Roles, Split
from dqh.data.store import Store
from dqh.errors import BadImageError, DataError, LeakError
from dqh.inputs import InputSpec

_EXAMPLES = 5

logger = logging.getLogger(__name__)


class Leaks(NamedTuple):
    """What was found.

    Attributes:
        by_id: number of queries that are themselves in another role.
        by_content: number of further queries of which another role holds the same file bytes (or pixels).
        examples: the first few pairs (id of the query, id found).
    """

    by_id: int
    by_content: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Prepared:
    """The images of one experiment; its roles are without the rows known to be unusable, which `skipped_file` lists."""

    source: Source
    split: Split
    roles: Roles
    store: Store
    leaks: Leaks
    skipped_file: Path

    def report_skipped(self, *, write: bool = True) -> int:
        """Write the unusable images met so far to `skipped_file`, if there are any, and return their number.

        Args:
            write: false to check their number alone, where another process writes.

        Raises:
            TooManyBadImagesError: there are more than the source allows.
        """
        skipped = self.store.skipped
        total = len(np.unique(np.concatenate(self.split.rows(self.source))))
        if write:
            report_skipped(self.source, skipped, total=total, file=self.skipped_file)
        else:
            check_bad_fraction(self.source, skipped, total=total, report=self.skipped_file)
        return len(skipped) + len(self.source.unusable)


def prepare(
    source: Source,
    split: Split,
    spec: InputSpec,
    *,
    allow_duplicates: bool,
    skipped_file: Path,
    roles: tuple[str, ...] = Roles._fields,
    memory_limit: int = 4 * 10**9,
    workers: int | None = None,
) -> Prepared:
    """Check for leaks, decode what fits into memory, and take out what cannot be used.

    Images of the named roles will be read. What takes more than `memory_limit` bytes when decoded is decoded again and
    again; `allow_duplicates` is as for `check_leaks`, `workers` as for `Store`.

    Raises:
        DataError: ids that the source does not have, leaks, too many unusable images, or a role left empty.
    """
    rows = split.rows(source)
    leaks = check_leaks(source, rows, allow_duplicates=allow_duplicates)
    store = Store(source, spec, memory_limit=memory_limit, workers=workers)
    store.load(np.unique(np.concatenate([getattr(rows, role) for role in roles])))
    bad = np.fromiter(store.skipped, np.int64, len(store.skipped))
    good = Roles(*(part[~np.isin(part, bad)] for part in rows))
    prepared = Prepared(source, split, good, store, leaks, skipped_file)
    prepared.report_skipped()
    for role in ("query", "database", "train"):
        if role in roles and len(getattr(good, role)) == 0:
            raise DataError(f"none of the {len(getattr(rows, role))} {role} images can be used; see {skipped_file}")
    return prepared


def find_leaks(source: Source, roles: Roles) -> Leaks:
    """Look for every query in train, validation and database.

    Content is compared by hash, so that two encodings of one picture are two contents. Images that cannot be read
    are left out: they enter no role later.
    """
    query = np.unique(roles.query)
    others = np.unique(np.concatenate([roles.database, roles.train, roles.validation]))
    shared = np.intersect1d(query, others)
    owners: dict[bytes, list[int]] = {}
    for row, content in _hashes(source, np.setdiff1d(query, shared)):
        owners.setdefault(content, []).append(row)
    copies: dict[int, int] = {}
    for row, content in _hashes(source, others):
        for owner in owners.get(content, ()):
            copies.setdefault(owner, row)
    pairs = [(row, row) for row in shared.tolist()] + sorted(copies.items())
    ids = source.ids
    return Leaks(
        by_id=len(shared),
        by_content=len(copies),
        examples=tuple((str(ids[a]), str(ids[b])) for a, b in pairs[:_EXAMPLES]),
    )


def check_leaks(source: Source, roles: Roles, *, allow_duplicates: bool) -> Leaks:
    """Stop where a query leaks; report duplicated content where it is allowed.

    Queries whose content is found again may be allowed (`Protocol.duplicates_allowed`), one that is itself in another
    role never is.

    Raises:
        LeakError: a query is in another role, or its content is and this is not allowed.
    """
    leaks = find_leaks(source, roles)
    pairs = ", ".join(f"{a!r} = {b!r}" for a, b in leaks.examples)
    if leaks.by_id:
        raise LeakError(
            f"{leaks.by_id} of {len(roles.query)} queries of {source.name} are in train, validation or database "
            f"themselves, such as {pairs}; take them out of one of the two"
        )
    if not leaks.by_content:
        return leaks
    text = (
        f"{leaks.by_content} of {len(roles.query)} queries of {source.name} have the same content as an image in "
        f"train, validation or database, such as {pairs}"
    )
    if not allow_duplicates:
        raise LeakError(f"{text}; remove the duplicates, or pass split.allow_duplicates=true to report their number")
    logger.warning("%s; the protocol allows it", text)
    return leaks


def _hashes(source: Source, rows: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """Row and content hash of the rows that can be read, in order."""
    for row in rows.tolist():
        try:
            yield row, source.content_hash(row)
        except BadImageError:  # reported when it is decoded
            continue
