"""Where a study of searches has its queries and database from: ready vectors, or images that an artifact encodes."""

from pathlib import Path

import numpy as np
import torch

from dqh.artifact import Artifact
from dqh.data import Prepared, Source, Split, prepare
from dqh.encoding.encode import encode
from dqh.encoding.encoded_rows import BATCH_SIZE
from dqh.errors import DataError
from dqh.evaluation.other_data import Match
from dqh.evaluation.study.networks import Network, extract
from dqh.evaluation.study.search_codes import Searched
from dqh.models import Identity
from dqh.progress import Progress
from dqh.ranking.side import Side

_VECTORS = 4096
"""Vectors that are read at a time."""

_ROLES = ("query", "database")


def searched_vectors(source: Source, split: Split, *, skipped_file: Path, allow_duplicates: bool = False) -> Searched:
    """The vectors of a source as they are, without codes.

    Args:
        source: has vectors.
        split: its queries and its database; the other roles are not read.
        skipped_file: where unusable vectors are listed, should there be any.
        allow_duplicates: whether a query's content may be found again in the database.

    Raises:
        DataError: leaks, or too many unusable vectors.
    """
    network = Network(Identity.name, taps=Identity.taps, options={"size": source.size})
    data = prepare(
        source, split, network.spec, allow_duplicates=allow_duplicates, skipped_file=skipped_file, roles=_ROLES
    )
    sides = []
    for rows in (data.roles.query, data.roles.database):
        extracted = extract(network, data.store, rows, device=torch.device("cpu"), batch_size=_VECTORS)
        (features,) = extracted.features.values()
        labels = source.labels[extracted.rows]
        sides.append(Side(np.empty((len(labels), 0), np.uint8), features, features, labels))
    data.report_skipped()
    return Searched(sides[0], sides[1], None, "", source.labelled, _about(data))


def searched_codes(
    artifact: Artifact,
    source: Source,
    match: Match,
    *,
    device: torch.device,
    skipped_file: Path,
    batch_size: int = BATCH_SIZE,
) -> Searched:
    """The features and codes that an artifact gives of its data.

    Args:
        artifact: as read from disk.
        source: the data.
        match: as `require_data` returned it.
        device: to encode on.
        skipped_file: where unusable images are listed, should there be any.
        batch_size: images encoded at a time.

    Raises:
        DataError: too many unusable images, or none left of a role.
    """
    data = prepare(
        source,
        match.split,
        artifact.encoder.spec,
        allow_duplicates=True,  # decided when the split was drawn; their number is in the protocol
        skipped_file=skipped_file,
        roles=_ROLES,
    )
    sides = []
    for role in _ROLES:
        rows = getattr(data.roles, role)
        encoded = encode(
            artifact.encoder,
            artifact.quantizer,
            store=data.store,
            rows=rows,
            device=device,
            batch_size=batch_size,
            progress=Progress("encoded", len(rows), noun=f"{role} {source.kind}s"),
        )
        if not len(encoded.rows):
            raise DataError(f"none of the {len(rows)} {role} images can be used; see {skipped_file}")
        sides.append(Side(encoded.codes, encoded.embedding, encoded.features, source.labels[encoded.rows]))
    data.report_skipped()
    about = _about(data) | {"method": artifact.method, "encoder_id": artifact.encoder_id}
    if match.differences:
        about["other_data"] = list(match.differences)
    return Searched(sides[0], sides[1], artifact.quantizer, artifact.method, source.labelled, about)


def _about(data: Prepared) -> dict[str, object]:
    return {
        "data": data.source.name,
        "split": data.split.protocol,
        "split_sha256": data.split.sha256,
        "duplicates": data.leaks.by_content,
        "skipped": len(data.store.skipped),
    }
