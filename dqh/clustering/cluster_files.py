"""The files of a finished clustering: labels, centres, tables, a page.

N points, k clusters.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.artifact.interface import QUANTIZER
from dqh.clustering.cell_points import CHUNK
from dqh.clustering.cluster_folder import CENTRES, DISTANCES, LABELS, MEMBERS, PAGE, SKIPPED, TABLE
from dqh.clustering.cluster_input import ClusterInput
from dqh.clustering.cluster_methods import Clusters, ClusterSettings
from dqh.clustering.cluster_numbers import ClusterNumbers
from dqh.clustering.clusters_page import clusters_page
from dqh.files import write_bytes, write_text
from dqh.plural import counted
from dqh.tensors import write_arrays


class ClusteredPoints(NamedTuple):
    """Clusters of all points.

    Attributes:
        own: what the method ended with, of the points that it got.
        labels: (N,) int32; -1 of points that could not be used.
        distances: (N,) float32, to the centres of the clusters; NaN of such points.
        skipped: their numbers, int64.
        numbers: of the clusters.
    """

    own: Clusters
    labels: NDArray[np.int32]
    distances: NDArray[np.float32]
    skipped: NDArray[np.int64]
    numbers: ClusterNumbers


def result_of(settings: ClusterSettings, whole: ClusteredPoints) -> dict[str, Any]:
    """What `clusters.json` says of a result."""
    sizes, purity = whole.numbers.sizes, whole.numbers.purity
    return {
        "clusters": len(sizes),
        "distortion": float(whole.own.distances.mean(dtype=np.float64)),
        "empty": int((sizes == 0).sum()),
        "iterations": whole.own.iterations,
        "labelled": int(whole.numbers.labelled.sum()),
        "largest": int(sizes.max()),
        "median": float(np.median(sizes)),
        "method": settings.method,
        "points": int(sizes.sum()),
        "purity": purity,
        "skipped": len(whole.skipped),
        "smallest": int(sizes.min()),
        "unit": whole.own.unit,
        "unvisited": whole.own.unvisited,
    }


def write_clusters(
    given: ClusterInput, settings: ClusterSettings, whole: ClusteredPoints, result: Mapping[str, Any], root: Path
) -> None:
    """All files of the result."""
    for name, array in ((LABELS, whole.labels), (DISTANCES, whole.distances), (CENTRES, whole.own.centres)):
        with (root / name).open("xb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    if whole.own.quantizer is not None:
        write_bytes(root / QUANTIZER, write_arrays(whole.own.quantizer))
    _write_table(root / TABLE, given, whole.numbers)
    if given.ids is not None or given.paths is not None:
        _write_members(root / MEMBERS, given, whole)
    if len(whole.skipped):
        lines = [f"{row},no finite vector" for row in whole.skipped.tolist()]
        write_text(root / SKIPPED, "\n".join([f"{given.noun},reason", *lines, ""]))
    write_text(root / PAGE, _page(given, settings, whole, result))


def _write_table(file: Path, given: ClusterInput, numbers: ClusterNumbers) -> None:
    with file.open("x", newline="", encoding="utf-8", errors="backslashreplace") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(["cluster", "size", "mean_distance", "nearest", "labelled", "purity", "labels"])
        for cluster, shares in enumerate(numbers.shares):
            spread, purity, nearest = numbers.spreads[cluster], numbers.purities[cluster], numbers.nearest[cluster]
            table.writerow(
                [
                    cluster,
                    numbers.sizes[cluster],
                    "" if np.isnan(spread) else f"{spread:.6g}",
                    "" if nearest < 0 else nearest if given.ids is None else given.ids[nearest],
                    numbers.labelled[cluster],
                    "" if np.isnan(purity) else f"{purity:.4f}",
                    ";".join(f"{label} {share:.4f}" for label, share in shares),
                ]
            )


def _write_members(file: Path, given: ClusterInput, whole: ClusteredPoints) -> None:
    with file.open("x", newline="", encoding="utf-8", errors="backslashreplace") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(["id", "path", "cluster", "distance", "labels"])
        for start in range(0, given.total, CHUNK):
            rows = np.arange(start, min(start + CHUNK, given.total))
            paths = [""] * len(rows) if given.paths is None else given.paths(rows)
            for row, path in zip(rows.tolist(), paths, strict=True):
                labels = "" if given.labels is None else ";".join(given.labels.of(row))
                cluster, distance = whole.labels[row], whole.distances[row]
                told = "" if np.isnan(distance) else f"{distance:.6g}"
                table.writerow([row if given.ids is None else given.ids[row], path, cluster, told, labels])


def _page(given: ClusterInput, settings: ClusterSettings, whole: ClusteredPoints, result: Mapping[str, Any]) -> str:
    keys = [
        ("distortion", f"{result['distortion']:.4g}", [f"mean {result['unit']} to the centre"]),
        ("median size", f"{result['median']:,.0f}", [f"{result['smallest']:,} to {result['largest']:,} {given.noun}s"]),
    ]
    if result["purity"] is not None:
        pure = f"of {result['labelled']:,} with labels have the most frequent one of their cluster"
        keys.insert(1, ("purity", f"{result['purity']:.1%}", [pure]))
    if result["empty"]:
        keys.append(("empty", f"{result['empty']:,}", ["clusters without points"]))
    what = "codes" if settings.points == "codes" else "vectors"
    about = (
        f"{settings.method} of {what} of {Path(given.name).name}, {counted(result['iterations'], 'iteration')}, seed "
        f"{settings.seed}."
    )
    if result["skipped"]:
        about += (
            f" {counted(result['skipped'], given.noun + ' was', given.noun + 's were')} left out as no finite vector."
        )
    return clusters_page(
        f"{counted(result['clusters'], 'cluster')} of {counted(result['points'], given.noun)}",
        about,
        keys,
        whole.numbers,
        whole.labels,
        whole.distances,
        noun=given.noun,
        unit=whole.own.unit if whole.own.unit == "bits" else "",
        paths=given.paths,
    )
