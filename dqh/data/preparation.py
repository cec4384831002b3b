"""From a source and its split to images that can be used: leaks checked, images decoded, unusable ones taken out."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dqh.data.leaks import Leaks, check_leaks
from dqh.data.skipped import check_bad_fraction, write_skipped
from dqh.data.source import Source
from dqh.data.splits import Roles, Split
from dqh.data.store import Store
from dqh.errors import DataError
from dqh.inputs import InputSpec
from dqh.plural import counted

logger = logging.getLogger(__name__)


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
        count = len(skipped) + len(self.source.unusable)
        if (count or self.source.unlisted) and write:
            write_skipped(self.skipped_file, self.source, skipped)
        if count and write:
            logger.warning("%s cannot be used, listed in %s", counted(count, "image"), self.skipped_file)
        total = len(np.unique(np.concatenate(self.split.rows(self.source))))
        check_bad_fraction(self.source, skipped, total=total, report=self.skipped_file)
        return count


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
