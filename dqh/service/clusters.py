"""Clusters of the images of an index, as `dqh cluster` left them in a folder, and what is asked about them.

Ids alone are kept of the members: what an index has of them is read when it is asked for. Of every version that is
served, removed images are left out and counted no more; one that came later belongs to no cluster. Distances, purity
and labels stay those of the clustering.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from dqh.artifact.manifest import CLUSTERS_MANIFEST, listing_of
from dqh.clustering.cluster_folder import MEMBERS, TABLE, check_clusters
from dqh.collection.artifact_note import absolute
from dqh.commands import command
from dqh.errors import ConfigError
from dqh.index.store.rows import StoredRow
from dqh.index.store.version import Version
from dqh.service.fields import MOST_ANSWERS, Item
from dqh.service.refusals import RequestError

MOSAIC = 9
_COMPARED = 100
"""Members whose paths must be those of the index."""


class ClustersAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a list of clusters takes."""

    after: Annotated[int, Meta(ge=0, le=2**31, description="Clusters to leave out, the largest ones.")] = 0
    most: Annotated[int, Meta(ge=1, le=200, description="Clusters.")] = 60


class MembersAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the members of a cluster take."""

    after: Annotated[int, Meta(ge=0, le=2**31, description="Members to leave out, the nearest ones.")] = 0
    most: Annotated[int, Meta(ge=1, le=MOST_ANSWERS, description="Members.")] = 60
    sizes: Annotated[bool, Meta(description="Whether items tell the size of their images.")] = False


class Cluster(Struct, kw_only=True):
    """A cluster, with the items nearest to its centre; `purity` is of the labels, null where nothing has one."""

    number: int
    members: int
    mean_distance: float
    purity: float | None
    labels: list[str]
    items: list[Item]


class Clusters(Struct, kw_only=True):
    """Clusters by falling size; `next` is what `after` gets for those that follow, null where none do."""

    version: int
    total: int
    clusters: list[Cluster]
    next: int | None


class Members(Struct, kw_only=True):
    """Members of a cluster from its centre to its rim; none where the index has no longer any of them."""

    version: int
    cluster: Cluster
    items: list[Item]
    next: int | None


class ClusterTable(NamedTuple):
    """Clusters, and the ids of their members.

    Attributes:
        ids: (N,) int64 of all members, cluster by cluster, each from its centre to its rim.
        starts: (C + 1,) where each cluster begins in `ids`.
        rows: of `clusters.csv`, by cluster.
        order: clusters that have members, by falling size.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    rows: list[dict[str, str]]
    order: list[int]

    def within(self, version: Version) -> "ClusterTable":
        """The same clusters, by the same numbers, without members that a version does not have."""
        kept = np.isin(self.ids, version.ids)
        starts = np.concatenate(([0], kept.cumsum()))[self.starts]
        return ClusterTable(self.ids[kept], starts, self.rows, _by_size(np.diff(starts)))

    def known(self, number: int, items: list[Item]) -> Cluster:
        """What is told of a cluster."""
        row = self.rows[number]
        return Cluster(
            number=number,
            members=int(self.starts[number + 1] - self.starts[number]),
            mean_distance=float(row["mean_distance"]),
            purity=float(row["purity"]) if row.get("purity") else None,
            labels=[part.rpartition(" ")[0] for part in row.get("labels", "").split(";") if part],
            items=items,
        )

    def members(self, number: int) -> NDArray[np.int64]:
        """The ids of a cluster; RequestError (404) where there is none of this number."""
        if not 0 <= number < len(self.rows):
            raise RequestError(404, f"no cluster {number}; there are {len(self.rows):,}, from 0")
        return self.ids[self.starts[number] : self.starts[number + 1]]


Told = Callable[[list[StoredRow]], list[Item]]


def read_clusters(folder: Path, version: Version, *, index: Path) -> ClusterTable:
    """The clusters in a folder, every byte of which is compared with its hash.

    Args:
        folder: that `dqh cluster` made.
        version: of the index that is served.
        index: its folder, for messages.

    Raises:
        ArtifactError: the folder is damaged.
        ConfigError: it holds no finished clusters of images of this index.
    """
    manifest = check_clusters(folder)
    if manifest["result"] is None:
        raise ConfigError(f"--clusters {folder} are not finished; the command that began them goes on with them")
    if MEMBERS not in listing_of(folder, manifest, CLUSTERS_MANIFEST):
        raise ConfigError(
            f"--clusters {folder} are of {manifest['points'].get('name', 'a file')}, not of the images of {index}; "
            f"{_advice(index)}"
        )
    with (folder / MEMBERS).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        lines = [(line.get("id", ""), line.get("path", ""), *_place(line)) for line in csv.DictReader(file)]
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    compared = [line for line in lines if line[0] and version.row_of(int(line[0])) is not None][:_COMPARED]
    stored = _stored(version, np.array([int(line[0]) for line in compared], np.int64))
    same = [absolute(row.path, version.manifest.root) == line[1] for row, line in zip(stored, compared, strict=True)]
    if 2 * sum(same) <= len(same):
        raise ConfigError(f"--clusters {folder} are not of the images of {index}; {_advice(index)}")
    ids, places, distances = (
        np.array(column) for column in zip(*((int(a), c, d) for a, _, c, d in lines), strict=True)
    )
    sorted_rows = np.lexsort((distances, places))
    sorted_rows = sorted_rows[places[sorted_rows] >= 0]
    sizes = np.bincount(places[sorted_rows], minlength=len(rows))
    starts = np.concatenate(([0], sizes.cumsum()))
    return ClusterTable(ids[sorted_rows].astype(np.int64), starts, rows, _by_size(sizes))


def list_clusters(table: ClusterTable | None, asked: ClustersAsked, version: Version, told: Told) -> Clusters:
    """The clusters, each with a few of its items; `table` has those within the version."""
    table = _required(table)
    numbers = table.order[asked.after : asked.after + asked.most]
    end = asked.after + len(numbers)
    return Clusters(
        version=version.manifest.version,
        total=len(table.order),
        clusters=[table.known(number, told(_stored(version, table.members(number)[:MOSAIC]))) for number in numbers],
        next=end if end < len(table.order) else None,
    )


def list_members(table: ClusterTable | None, number: int, asked: MembersAsked, version: Version, told: Told) -> Members:
    """The members of a cluster; `table` has those within the version."""
    table = _required(table)
    ids = table.members(number)
    end = asked.after + asked.most
    return Members(
        version=version.manifest.version,
        cluster=table.known(number, []),
        items=told(_stored(version, ids[asked.after : end])),
        next=end if end < len(ids) else None,
    )


def _required(table: ClusterTable | None) -> ClusterTable:
    if table is None:
        raise RequestError(
            409,
            "this service has no clusters; make them, and name them as it starts: dqh cluster INDEX -k N --out DIR, "
            "dqh serve INDEX --clusters DIR",
        )
    return table


def _by_size(sizes: NDArray[np.int64]) -> list[int]:
    """Clusters that have members, by falling size."""
    return [number for number in np.argsort(-sizes, kind="stable").tolist() if sizes[number]]


def _stored(version: Version, ids: NDArray[np.int64]) -> list[StoredRow]:
    """Rows by their ids, all of which the version has."""
    return version.rows(np.searchsorted(version.ids, ids))


def _advice(index: Path) -> str:
    return f"cluster those: {command('dqh', 'cluster', index, '-k', 'N', '--out', 'DIR')}"


def _place(line: dict[str, str]) -> tuple[int, float]:
    return int(line["cluster"]), float(line["distance"] or "nan")
