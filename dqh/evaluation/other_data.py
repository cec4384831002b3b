"""Whether data are those of an artifact, and how they are split where others are meant."""

import logging
from typing import NamedTuple

from dqh.artifact import Artifact
from dqh.data import Source, Split
from dqh.data.redraw import redraw
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
