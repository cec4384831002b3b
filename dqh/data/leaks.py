"""Queries that are found again among the images trained on or searched, by id and by content."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.source import Source
from dqh.data.splits import Roles
from dqh.errors import BadImageError, LeakError

logger = logging.getLogger(__name__)

_EXAMPLES = 5


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
