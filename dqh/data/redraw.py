"""Queries and database of an evaluation on data that lack some images of the split that the artifact was trained on."""

import numpy as np
from numpy.typing import NDArray

from dqh.data.fingerprint import contents
from dqh.data.protocols import Protocol, supported_protocols
from dqh.data.shares import share_of_queries
from dqh.data.source import Source
from dqh.data.split_fields import ProtocolName
from dqh.data.splits import Split
from dqh.errors import DataError


def redraw(split: Split, source: Source) -> Split:
    """A split of other data by the protocol and seed of a split, where its protocol suits them, else by shares.

    No query has the id or the content of an image that is known to have been trained on. Ids are known of all of these;
    contents of those that the fingerprint looked at. Whether others were trained on, nobody can tell.

    Returns:
        Queries and database; `train` is the database, which shallow baselines are fitted to, and `validation` is empty.

    Raises:
        DataError: no image is left that could be a query.
    """
    trained = known_trained(split, source)
    if split.protocol == "counts" or split.protocol not in supported_protocols(source):
        return _by_shares(split, source, trained)
    name: ProtocolName = split.protocol  # type: ignore[assignment] # it is one of those that are supported
    drawn = Protocol(name, seed=split.seed).draw(source)
    out = set(source.ids[trained].tolist())
    query = tuple(name for name in drawn.query if name not in out)
    if not query:
        raise _all_trained(source)
    return Split(split.protocol, split.seed, source.name, query, drawn.database, drawn.database, ())


def known_trained(split: Split, source: Source) -> NDArray[np.bool_]:
    """(N,) bool: rows of a source that have the id, or a known content, of a train or validation image of a split."""
    names = {*split.train, *split.validation}
    trained = np.array([name in names for name in source.ids.tolist()], dtype=np.bool_)
    if split.fingerprint is None:
        return trained
    known = zip(split.looked_at(), split.fingerprint.contents, strict=False)
    hashes = {content for name, content in known if content and name in names}
    others = np.flatnonzero(~trained)
    trained[others] = [content in hashes for content in contents(source, others)]
    return trained


def _by_shares(split: Split, source: Source, trained: NDArray[np.bool_]) -> Split:
    able = np.flatnonzero(~trained)
    if not len(able):
        raise _all_trained(source)
    query = share_of_queries(source.labels, np.random.default_rng(split.seed), name=source.name, among=able)
    database = np.setdiff1d(np.arange(len(source)), query)
    asked, searched = (tuple(source.ids[rows].tolist()) for rows in (query, database))
    return Split("counts", split.seed, source.name, asked, searched, searched, ())


def _all_trained(source: Source) -> DataError:
    return DataError(
        f"data: every image of {source.name} that could be a query was trained on; give images that the artifact has "
        "not seen, or its own data"
    )
