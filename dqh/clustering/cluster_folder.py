"""A folder of clusters: what a run has finished of them, and at last the result.

    clusters.json     canonical JSON, last field `self_sha256`: `settings`, `points` (which ones), `result` (null while
                      the run is not finished), every file with its size and SHA-256
    unfinished/       arrays of the stages of a run that is not finished; they go with the result
    labels.npy        (N,) int32, the cluster of each point; -1 where it could not be used
    distances.npy     (N,) float32, how far each point lies from the centre of its cluster
    centres.npy       (k, D) float32 vectors, or (k, bytes) uint8 codes
    clusters.csv      a line a cluster: size, mean distance, the point nearest to the centre, its most frequent labels
    members.csv       a line a point, where points have ids or paths
    skipped.csv       points that could not be used, and why, where there are some
    quantizer.safetensors   what made cells or codes of vectors, where something did
    clusters.html     a page with pictures

How files come into it, and what is never touched, is in `dqh.artifact.publishing`. A stage is kept on one of two sides
in turn, so that the older one goes when the newer one is whole.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dqh
from dqh.artifact.manifest import (
    CLUSTERS_MANIFEST,
    FORMAT_VERSION,
    damages,
    is_artifact,
    listing_of,
    read_manifest,
)
from dqh.artifact.manifest_fields import field_problems
from dqh.artifact.places import CLUSTERS_KIND, RESULT
from dqh.artifact.publishing import Folder, Maker, opened
from dqh.clustering.resuming import Arrays
from dqh.errors import ArtifactError, ConfigError
from dqh.files import no_folder, open_regular
from dqh.index.store.place import versions_in

logger = logging.getLogger(__name__)

PACE, ENDED_PACE, SHARE = 10.0, 2.0, 20
"""Seconds after which something is kept at the earliest, and at the end of a stage; and how many times what it took."""

SKIPPED, LABELS, DISTANCES, CENTRES = "skipped.csv", "labels.npy", "distances.npy", "centres.npy"
TABLE, MEMBERS, PAGE = "clusters.csv", "members.csv", "clusters.html"
"""Files of a finished one; see `dqh.clustering.cluster_files`, which writes them."""

_UNFINISHED = "unfinished"


class ClusterFolder:
    """The folder of one clustering, which keeps its stages: see `dqh.clustering.resuming.Checkpoints`.

    Args:
        folder: opened.
        settings: of the run.
        points: which ones are clustered.
        pace: seconds, see `PACE`; 0 keeps all that is offered.
    """

    def __init__(
        self, folder: Folder, settings: Mapping[str, Any], points: Mapping[str, Any], *, pace: float = PACE
    ) -> None:
        self._folder, self._pace = folder, pace
        manifest = folder.manifest or {}
        self._fields: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "kind": CLUSTERS_KIND,
            "settings": dict(settings),
            "points": dict(points),
            "versions": {"dqh": dqh.__version__},
            "result": manifest.get("result"),
            "stages": dict(manifest.get("stages", {})),
        }
        self._last, self._took = time.monotonic(), 0.0

    @property
    def result(self) -> dict[str, Any] | None:
        """Of a finished run; None where it is not finished."""
        result: dict[str, Any] | None = self._fields["result"]
        return result

    @property
    def stages(self) -> list[str]:
        """Those of which something is kept."""
        return sorted(self._fields["stages"])

    def load(self, stage: str) -> dict[str, NDArray[Any]] | None:
        """The arrays that were kept of a stage, None where there are none; `ArtifactError` where they are damaged."""
        side = self._fields["stages"].get(stage)
        if side is None:
            return None
        files = {file: entry for file, entry in self._folder.files.items() if entry.get("form") == f"{stage}.{side}"}
        if not files:  # of a run that was killed between the two sides
            return None
        self._require_whole(files)
        arrays = {}
        for file in files:
            with open_regular(self._folder.path / file) as content:
                arrays[Path(file).stem] = np.lib.format.read_array(content, allow_pickle=False)
        logger.info("%s: going on after what was kept of the stage %s", self._folder.path, stage)
        return arrays

    def offer(self, stage: str, state: Callable[[], Arrays], *, ended: bool = False) -> None:
        """Keep the arrays of a stage where so much time went by since something was kept that it is worth it."""
        pace = min(self._pace, ENDED_PACE) if ended else max(self._pace, SHARE * self._took * (self._pace > 0))
        if time.monotonic() - self._last < pace:
            return
        began = time.monotonic()
        before = self._fields["stages"].get(stage)
        side = 1 - before if before is not None else 0
        self._fields["stages"][stage] = side
        self._folder.publish(self._fields, forms={f"{stage}.{side}": partial(_write, f"{stage}.{side}", state())})
        self._drop([f"{stage}.{1 - side}"])
        self._last = time.monotonic()
        self._took = self._last - began

    def finish(self, result: Mapping[str, Any], write: Maker) -> None:
        """Put the result into the folder, which is then whole, and remove what was kept."""
        self._fields["result"] = dict(result)
        self._folder.publish(self._fields, forms={RESULT: write})
        self.tidy()

    def tidy(self) -> None:
        """Remove the stages of a run that is finished."""
        self._fields["stages"] = {}
        self._drop([form for form in self._forms() if form != RESULT])

    def require_whole(self) -> None:
        """Raise `ArtifactError` where a file is not what was written."""
        self._require_whole(self._folder.files)

    def _forms(self) -> set[str]:
        return {str(entry["form"]) for entry in self._folder.files.values() if "form" in entry}

    def _drop(self, forms: list[str]) -> None:
        if present := [form for form in forms if form in self._forms()]:
            self._folder.publish(self._fields, forms=dict.fromkeys(present, _write_nothing))

    def _require_whole(self, files: Mapping[str, dict[str, Any]]) -> None:
        if problems := damages(self._folder.path, dict(files), CLUSTERS_MANIFEST):
            raise ArtifactError(f"{'; '.join(problems)}; or cluster again into a new folder")


@contextmanager
def cluster_folder(
    out: Path, *, settings: Mapping[str, Any], points: Mapping[str, Any], pace: float = PACE
) -> Iterator[ClusterFolder]:
    """A block in which a folder is this run's alone: a new or an empty one, or one of the same clustering.

    Raises:
        ArtifactError: what it holds is damaged, or another run is at it.
        ConfigError: it holds a clustering of other settings or points, or something else.
        OSError: it cannot be written.
    """
    require_place(out)
    with opened(out, CLUSTERS_MANIFEST) as folder:
        if folder.manifest is not None:
            if problems := field_problems(folder.manifest):
                raise ArtifactError(
                    f"{out / CLUSTERS_MANIFEST} does not describe clusters: {'; '.join(problems)}; cluster again into "
                    "a new folder"
                )
            _require_same(out, folder.manifest, settings, points)
        own = ClusterFolder(folder, settings, points, pace=pace)
        if own.result is not None:
            own.tidy()
        yield own


def require_place(out: Path) -> None:
    """Raise `ConfigError` where something else than clusters is in the way."""
    if problem := no_folder(out):
        raise ConfigError(f"--out {out}: {problem}")
    for what, is_one in (("an artifact", is_artifact), ("an index", versions_in)):
        if is_one(out):
            raise ConfigError(f"--out {out} is {what}; name a new folder")


def check_clusters(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of clusters, all of whose files were compared with their hashes.

    Raises:
        ArtifactError: something is damaged.
    """
    manifest = read_manifest(folder, CLUSTERS_MANIFEST)
    problems = field_problems(manifest)
    if not problems:
        problems = damages(folder, listing_of(folder, manifest, CLUSTERS_MANIFEST), CLUSTERS_MANIFEST)
    if problems:
        raise ArtifactError("; ".join(problems))
    return manifest


def _require_same(
    out: Path, manifest: Mapping[str, Any], settings: Mapping[str, Any], points: Mapping[str, Any]
) -> None:
    pairs = [(manifest["settings"], dict(settings)), (manifest["points"], dict(points))]
    differences = [
        f"{name} {before.get(name, '–')}, now {now.get(name, '–')}"
        for before, now in pairs
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differences:
        kind = "a clustering" if manifest["result"] is not None else "an unfinished clustering"
        raise ConfigError(
            f"--out {out} holds {kind} that differs: {'; '.join(differences)}. The same settings and points go on "
            "with it; for others name a new folder"
        )


def _write(form: str, arrays: Arrays, root: Path) -> None:
    folder = root / _UNFINISHED / form
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("xb") as file:
            np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def _write_nothing(_: Path) -> None:
    """A form that is removed has no files."""
