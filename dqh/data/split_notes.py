"""What to tell of a split before anything is trained: the sizes that were chosen, and what no ranking can answer."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.protocols import AUTO, Protocol
from dqh.data.shares import MOST, QUERY_SHARE, SERVED_IN_FULL, VALIDATION_SHARE
from dqh.data.source import Source
from dqh.data.splits import Roles
from dqh.plural import counted


class SplitNotes(NamedTuple):
    """Lines about a split, without line ends.

    Attributes:
        chosen: the sizes, where they are shares of the collection, and how to change them; "" where none is.
        warnings: what makes its numbers say less.
    """

    chosen: str
    warnings: tuple[str, ...]


def split_notes(protocol: Protocol, roles: Roles, source: Source) -> SplitNotes:
    """What to tell of a split."""
    shared = [f"{name} {share:.0%}" for name, share, value in _shares(protocol, source) if value == AUTO]
    warnings = [*_small_classes(source.labels, told=bool(shared)), *_unanswered(source, roles, protocol)]
    warnings += _alone(source, roles)
    if not shared:
        return SplitNotes("", tuple(warnings))
    sizes = ", ".join(f"{len(getattr(roles, role)):,} {role}" for role in Roles._fields)
    if not len(roles.validation):
        sizes += ", so that the last epoch is kept and no ranking is chosen"
    chosen = (
        f"split of {len(source):,} images: {sizes}; shares ({', '.join(shared)}, at most {MOST:,}) as the sizes of the "
        f"classes allow; other numbers by split.query=N split.validation=N"
    )
    return SplitNotes(chosen, tuple(warnings))


def _shares(protocol: Protocol, source: Source) -> list[tuple[str, float, Any]]:
    """Name, share and value of the sizes that may be shares of the collection."""
    query = [("query", QUERY_SHARE, protocol.query)] if protocol.protocol == "counts" else []
    own_part = protocol.protocol in ("full", "given") and len(source.roles.get("validation", ()))
    return query if own_part else [*query, ("validation", VALIDATION_SHARE, protocol.validation)]


def _small_classes(labels: NDArray[Any], *, told: bool) -> list[str]:
    sizes = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels)
    sizes = sizes[sizes > 0]
    small = np.count_nonzero(sizes < SERVED_IN_FULL)
    if not told or not small:
        return []
    few = (np.count_nonzero(sizes == 1), np.count_nonzero((sizes > 1) & (sizes < SERVED_IN_FULL)))
    words = (
        (few[0], "one image", "no query"),
        (few[1], "two to five", "at most half of them as queries or for validation"),
    )
    classes = counted(len(sizes), "class", "classes")
    parts = [
        f"{count:,} with {what} {'gives' if count == 1 else 'give'} {part}"
        if count < small
        else f"{what} {'gives' if what == 'one image' else 'give'} {part}"
        for count, what, part in words
        if count
    ]
    whose = (
        f"all {classes} have"
        if small == len(sizes) > 1
        else f"{small:,} of {classes} {'has' if small == 1 else 'have'}"
    )
    return [f"{whose} fewer than {SERVED_IN_FULL} images: {', '.join(parts)}"]


def _unanswered(source: Source, roles: Roles, protocol: Protocol) -> list[str]:
    """Queries without a relevant image in the database, and classes of queries that are never trained on."""
    labels = source.labels
    asked, searched, trained = (_present(labels, rows) for rows in (roles.query, roles.database, roles.train))
    lines = []
    if labels.ndim == 2:
        count = np.count_nonzero(~(labels[roles.query] & searched).any(axis=1))
    else:
        count = np.count_nonzero(~searched[labels[roles.query]])
    hint = "; split.query=auto keeps one for every query" if protocol.query not in (None, AUTO) else ""
    if count:
        verb, pronoun = ("has", "it") if count == 1 else ("have", "them")
        lines.append(
            f"{count:,} of {counted(len(roles.query), 'query', 'queries')} {verb} no relevant "
            f"image in the database: no ranking can answer {pronoun}{hint}"
        )
    untrained = np.count_nonzero(asked & ~trained)
    if untrained and not protocol.unseen:
        classes = counted(int(np.count_nonzero(asked)), "class of the queries", "classes of the queries")
        lines.append(f"{untrained:,} of {classes} {'has' if untrained == 1 else 'have'} no image to train on")
    return lines


def _alone(source: Source, roles: Roles) -> list[str]:
    """Validation images of which no two share a class: every value of every epoch is 0."""
    labels = source.labels[roles.validation]
    most = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels)
    if len(labels) == 0 or most.max(initial=0) > 1:
        return []
    return [
        f"no two of the {len(labels):,} validation images share a class: val/mAP is 0 in every epoch; "
        "split.validation=auto takes two or more of a class"
    ]


def _present(labels: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(C,) whether a class has one of `rows`."""
    if labels.ndim == 2:
        return np.asarray(labels[rows].any(axis=0))
    present = np.zeros(int(labels.max(initial=-1)) + 1, dtype=np.bool_)
    present[labels[rows]] = True
    return present
