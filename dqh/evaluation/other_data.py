"""Whether data are those of an artifact, and how they are split where others are meant."""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.artifact import Artifact
from dqh.data import Source, Split
from dqh.data.protocols import Protocol, supported_protocols
from dqh.data.shares import share_of_queries
from dqh.data.split_fields import ProtocolName
from dqh.data.splits import contents
from dqh.errors import DataError

logger = logging.getLogger(__name__)


class Match(NamedTuple):
    """The split of data, drawn anew where images of an artifact's own are missing, and how they differ from its own."""

    split: Split
    differences: tuple[str, ...] = ()


def require_data(artifact: Artifact, source: Source, *, other_data: bool = False) -> Match:
    """Refuse data that are not those of the artifact, as far as its split and the fingerprint in it say.

    Args:
        artifact: as read from disk.
        source: the data.
        other_data: whether data that differ are meant; where images of the split are missing, `redraw` draws another.

    Raises:
        DataError: images in place of vectors or the other way round, other data that are not meant, or such as give no
            query.
    """
    if source.kind != artifact.encoder.spec.kind:
        raise DataError(
            f"data: {source.name} has {source.kind}s, the artifact encodes {artifact.encoder.spec.kind}s of "
            f"{artifact.split.data}; give the data that it was trained on"
        )
    changed = artifact.split.differences(source)
    if artifact.split.fingerprint is None:
        logger.info("the artifact has no fingerprint of its data: of %s, only the ids were compared", source.name)
    if changed and not other_data:
        raise DataError(
            f"data: {source.name} is not what the artifact was trained and split on; these differ: "
            f"{'; '.join(changed)}. Give its own data, or other_data=true to evaluate on these deliberately"
        )
    if not artifact.split.missing(source):
        return Match(artifact.split, tuple(changed))
    known = "" if artifact.split.fingerprint is None else " and content, as far as the split keeps it"
    drawn = redraw(artifact.split, source)
    return Match(
        drawn,
        (
            *changed,
            f"split drawn anew: {drawn.protocol}, seed {drawn.seed}, queries without what was trained on by id{known}",
        ),
    )


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
