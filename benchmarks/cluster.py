"""Clusterings of one data set side by side: time of preparing, encoding, clustering, memory, distortion, purity.

    OMP_NUM_THREADS=1 python benchmarks/cluster.py deepfeatures --data DIR
    OMP_NUM_THREADS=2 python benchmarks/cluster.py vectors --points 10000000 --clusters 10000
    OMP_NUM_THREADS=2 python benchmarks/cluster.py codes --points 100000000 --clusters 85000 --codewords 8192
    OMP_NUM_THREADS=2 python benchmarks/cluster.py bits --points 10000000 --clusters 10000

deepfeatures   DIR/deepfeatures has features_pca128_f16.npy and labels.npy: 100,000 vectors of 128 numbers
vectors        points of 128 numbers around centres, from a seed
codes          codes alone of a product quantizer of two subspaces, whose cells are drawn around centres, from a seed
bits           codes of 64 bits around centres, each bit turned with a chance of 10 %, from a seed

Every method runs in a process of its own, one after another. Seconds are those of the processor, of all its threads;
memory is the most that the process held beside what it held once the data and the packages were loaded. `--methods`
chooses some. Writes benchmarks/results/cluster_PART.json and .md; what was measured by other calls with the same data
stays there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from quality import RESULTS, where
from sklearn.cluster import MiniBatchKMeans

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.cell_codebooks import fitted_quantizer
from dqh.clustering.cell_points import Space, points_of_vectors
from dqh.clustering.iq_means import IQMeans
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.codes import pack_indices
from dqh.cores import threads
from dqh.environment import environment
from dqh.quantizers.itq import ITQ
from dqh.quantizers.kmeans import nearest
from dqh.quantizers.product import ProductQuantizer

DIMENSION, BITS, CHUNK, SAMPLE = 128, 64, 2**16, 2**15
PARTS = ("deepfeatures", "vectors", "codes", "bits")
PEER = "pqkmeans"
"""Built from its sources for this comparison alone (`uv pip install pqkmeans`), and so not declared."""


class Data(NamedTuple):
    """What is clustered: vectors or codes, their classes where they have some, and the quantizer of the codes."""

    points: NDArray[Any]
    labels: NDArray[np.int64] | None
    quantizer: ProductQuantizer | None = None


class Result(NamedTuple):
    """What a method gives: centres where they are vectors, labels, its own distortion, and processor seconds."""

    centres: NDArray[np.float32] | None
    labels: NDArray[np.int32]
    own: float | None
    prepare: float = 0.0
    encode: float = 0.0
    cluster: float = 0.0
    note: str = ""


class Clock:
    """Tells processor seconds."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def __call__(self) -> float:
        """Since the last call."""
        before, self._last = self._last, time.process_time()
        return self._last - before


def faiss_kmeans(iterations: int, most: int | None = None) -> Callable[[Data, int], Result]:
    """k-means of all vectors, or of at most so many a centre, and then assignment of all."""

    def run(data: Data, clusters: int) -> Result:
        clock, vectors = Clock(), np.asarray(data.points, np.float32)
        kmeans = faiss.Kmeans(
            vectors.shape[1], clusters, niter=iterations, seed=0, max_points_per_centroid=most or len(vectors)
        )
        kmeans.train(vectors)
        seconds = clock()
        return Result(
            kmeans.centroids, kmeans.assign(vectors)[1].astype(np.int32), None, cluster=seconds, encode=clock()
        )

    return run


def mini_batch(data: Data, clusters: int) -> Result:
    """scikit-learn's, as it comes."""
    clock, vectors = Clock(), np.asarray(data.points, np.float32)
    kmeans = MiniBatchKMeans(clusters, random_state=0, n_init=1, batch_size=max(1024, clusters)).fit(vectors)
    return Result(kmeans.cluster_centers_, kmeans.labels_, None, cluster=clock(), note=f"{kmeans.n_iter_} epochs")


def iq_means(codewords: int, *, auto: bool = False, **settings: Any) -> Callable[[Data, int], Result]:
    """IQ-means, 20 iterations."""

    def run(data: Data, clusters: int) -> Result:
        clock = Clock()
        rows = np.sort(np.random.default_rng(0).permutation(len(data.points))[: max(SAMPLE, 32 * codewords)])
        quantizer = fitted_quantizer(np.asarray(data.points[rows], np.float32), codewords, seed=0)
        prepare = clock()
        points_of_vectors(data.points, Space(quantizer))
        encode = clock()
        many = {"most_clusters": 4 * clusters} if auto else {}
        method = IQMeans("auto" if auto else clusters, quantizer=quantizer, tolerance=0, **many, **settings)
        method.fit(data.points)
        whole, found = clock(), f"{method.n_clusters_:,} clusters of {4 * clusters:,}" if auto else ""
        note = ", ".join([*[found] * auto, f"{method.unvisited_:.1%} unvisited"])
        return Result(
            method.cluster_centers_, method.labels_, method.distortion_, prepare, encode, max(0, whole - encode), note
        )

    return run


def iq_codes(data: Data, clusters: int) -> Result:
    """IQ-means on codes alone, the histogram of cells included."""
    clock = Clock()
    method = IQMeans(clusters, quantizer=data.quantizer, tolerance=0, assignment="inverted").fit_codes(data.points)
    note = f"{method.history_[-1].unvisited:.1%} unvisited in the last iteration, {method.unvisited_:.1%} at the end"
    return Result(None, method.labels_, method.distortion_, cluster=clock(), note=note)


def binary(data: Data, clusters: int) -> Result:
    """Binary k-means of ITQ codes, or of the codes that there are."""
    clock, codes, prepare, encode = Clock(), data.points, 0.0, 0.0
    if codes.dtype != np.uint8:
        rows = np.sort(np.random.default_rng(0).permutation(len(codes))[: 2 * SAMPLE])
        itq = ITQ(BITS).fit(np.asarray(codes[rows], np.float32))
        prepare = clock()
        codes = itq.encode(np.asarray(codes, np.float32))
        encode = clock()
    method = BinaryKMeans(clusters).fit(codes)
    note = f"{method.distortion_:.3f} bits, {method.n_iter_} iterations"
    return Result(None, method.labels_, method.distortion_, prepare, encode, clock(), note)


def product(subspaces: int) -> Callable[[Data, int], Result]:
    """PQ k-means of codes of so many bytes."""

    def run(data: Data, clusters: int) -> Result:
        clock = Clock()
        quantizer, codes = _product_codes(data, subspaces)
        prepare = clock()
        codes = quantizer.encode(np.asarray(data.points, np.float32))
        encode = clock()
        method = PQKMeans(clusters, quantizer, start="random").fit(codes)
        return Result(
            None, method.labels_, method.distortion_, prepare, encode, clock(), f"{method.n_iter_} iterations"
        )

    return run


def peer_product(data: Data, clusters: int) -> Result:
    """`pqkmeans.clustering.PQKMeans` on the same codes of 8 bytes, ten iterations; see `PEER`."""
    pqkmeans = import_module(PEER)
    quantizer, codes = _product_codes(data, 8)
    encoder = pqkmeans.encoder.PQEncoder(num_subdim=8, Ks=256)
    encoder.trained_encoder = pqkmeans.encoder.pq_encoder.TrainedPQEncoder(quantizer.codebooks, np.uint8)
    codes, clock = quantizer.encode(np.asarray(data.points, np.float32)), Clock()
    method = pqkmeans.clustering.PQKMeans(encoder=encoder, k=clusters, iteration=10, verbose=False)
    labels = np.array(method.fit_predict(codes), np.int32)
    return Result(None, labels, None, cluster=clock(), note="pqkmeans")


def _product_codes(data: Data, subspaces: int) -> tuple[ProductQuantizer, NDArray[np.uint8]]:
    rows = np.sort(np.random.default_rng(0).permutation(len(data.points))[:SAMPLE])
    sample = np.asarray(data.points[rows], np.float32)
    quantizer = ProductQuantizer(subspaces, 256, iterations=10).fit(sample)
    return quantizer, quantizer.encode(sample[:1])


VECTORS: dict[str, Callable[[Data, int], Result]] = {
    "faiss, 3 iterations": faiss_kmeans(3),
    "faiss, 10 iterations": faiss_kmeans(10),
    "faiss, 10 iterations, 64 points a centre": faiss_kmeans(10, 64),
    "scikit-learn mini-batch": mini_batch,
    "IQ-means, 512 codewords": iq_means(512),
    "IQ-means, 512 codewords, inverted": iq_means(512, assignment="inverted"),
    "IQ-means, 512 codewords, inverted, remembering": iq_means(512, assignment="inverted", reset=False),
    "IQ-means, 2,048 codewords": iq_means(2048),
    "IQ-means, 2,048 codewords, inverted, window 128": iq_means(2048, assignment="inverted", window=128),
    "IQ-means, 512 codewords, auto": iq_means(512, auto=True),
    "binary k-means, 64 bits of ITQ": binary,
    "PQ k-means, 8 bytes": product(8),
    "pqkmeans, 8 bytes": peer_product,
}
METHODS = {
    "deepfeatures": VECTORS,
    "vectors": VECTORS,
    "codes": {"IQ-means, codes alone": iq_codes},
    "bits": {"binary k-means": binary},
}


def around_centres(number: int, clusters: int, *, seed: int) -> NDArray[np.float16]:
    """Vectors (number, 128): centres of variance 1 a dimension, points of variance 1/2 around them."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((clusters, DIMENSION), np.float32)
    points = np.empty((number, DIMENSION), np.float16)
    for start in range(0, number, CHUNK):
        size = min(CHUNK, number - start)
        noise = generator.standard_normal((size, DIMENSION), np.float32) * np.float32(0.5**0.5)
        points[start : start + size] = centres[generator.integers(0, clusters, size)] + noise
    return points


def codes_around_centres(number: int, clusters: int, codewords: int, *, seed: int) -> Data:
    """Codes of a quantizer of such vectors: a centre has 32 points, and a code takes each half from one of them."""
    generator = np.random.default_rng(seed)
    pool = around_centres(clusters, max(1, clusters // 8), seed=seed).astype(np.float32)
    quantizer = fitted_quantizer(pool[: max(SAMPLE, 16 * codewords)], codewords, seed=seed)
    halves = np.empty((32, clusters, 2), np.uint16)
    for draw in range(32):
        near = pool + generator.standard_normal(pool.shape, np.float32) * np.float32(0.5)
        numbers, _ = Space(quantizer).cells(Space(quantizer).enter(near))
        halves[draw] = np.stack([numbers // codewords, numbers % codewords], axis=1)
    width = codewords.bit_length() - 1
    codes = np.empty((number, -(-2 * width // 8)), np.uint8)
    for start in range(0, number, 2**20):
        size = min(2**20, number - start)
        owner, draws = generator.integers(0, clusters, size), generator.integers(0, 32, (2, size))
        rows = np.stack([halves[draws[0], owner, 0], halves[draws[1], owner, 1]], axis=1)
        codes[start : start + size] = pack_indices(rows, width)
    return Data(codes, None, quantizer)


def bits_around_centres(number: int, clusters: int, *, seed: int) -> NDArray[np.uint8]:
    """Codes (number, 8)."""
    generator = np.random.default_rng(seed)
    centres = generator.integers(0, 2, (clusters, BITS), dtype=np.uint8)
    codes = np.empty((number, BITS // 8), np.uint8)
    for start in range(0, number, CHUNK):
        size = min(CHUNK, number - start)
        turned = generator.random((size, BITS), np.float32) < 0.1
        codes[start : start + size] = np.packbits(centres[generator.integers(0, clusters, size)] ^ turned, axis=1)
    return codes


def loaded(given: argparse.Namespace) -> Data:
    """The data of a part."""
    if given.part == "deepfeatures":
        folder = given.data / "deepfeatures"
        vectors = np.load(folder / "features_pca128_f16.npy", mmap_mode="r")[: given.points]
        return Data(vectors, np.load(folder / "labels.npy")[: given.points])
    if given.part == "vectors":
        return Data(around_centres(given.points, given.clusters, seed=0), None)
    if given.part == "codes":
        return codes_around_centres(given.points, given.clusters, given.codewords, seed=0)
    return Data(bits_around_centres(given.points, given.clusters, seed=0), None)


def measured(given: argparse.Namespace, method: str) -> dict[str, Any]:
    """One method in this process."""
    torch.set_num_threads(threads())
    faiss.omp_set_num_threads(threads())
    data = loaded(given)
    before, began = _most_memory(), time.perf_counter()
    result = METHODS[given.part][method](data, given.clusters)
    wall, memory = time.perf_counter() - began, _most_memory() - before
    cell = {"method": method, "prepare": result.prepare, "encode": result.encode, "cluster": result.cluster}
    cell |= {"wall": wall, "memory_mib": memory, "note": result.note, "own": result.own}
    if data.points.dtype != np.uint8:
        cell |= _distortions(data.points, result)
    if data.labels is not None:
        cell["purity"] = purity(result.labels, data.labels)
    return cell


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _distortions(vectors: NDArray[Any], result: Result) -> dict[str, float]:
    """Mean squared distance to the nearest centre, and to that of the label; means of vectors where there is none."""
    centres = result.centres
    if centres is None:
        counts = np.bincount(result.labels)
        sums = np.zeros((len(counts), vectors.shape[1]))
        for start in range(0, len(vectors), CHUNK):
            np.add.at(sums, result.labels[start : start + CHUNK], np.asarray(vectors[start : start + CHUNK], float))
        centres = (sums / np.maximum(counts, 1)[:, None])[counts > 0].astype(np.float32)
        renumbered = (np.cumsum(counts > 0) - 1)[result.labels]
    else:
        renumbered = result.labels
    near = by_label = 0.0
    for start in range(0, len(vectors), CHUNK):
        part = np.asarray(vectors[start : start + CHUNK], np.float32)
        near += float(
            nearest(torch.from_numpy(part), torch.from_numpy(np.ascontiguousarray(centres, np.float32)))[1].sum()
        )
        by_label += float(((part - centres[renumbered[start : start + CHUNK]]) ** 2).sum(dtype=np.float64))
    return {"nearest": near / len(vectors), "label": by_label / len(vectors)}


def purity(labels: NDArray[np.int32], classes: NDArray[np.int64]) -> float:
    """Part of the points that are of the most frequent class of their cluster."""
    counts = np.zeros((int(labels.max()) + 1, int(classes.max()) + 1), np.int64)
    np.add.at(counts, (labels, classes), 1)
    return float(counts.max(axis=1).sum() / len(labels))


def main() -> None:
    """Run the methods that are asked for, each in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, help="folder of the data sets, for deepfeatures")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--codewords", type=int, default=8192, help="a half, of codes")
    parser.add_argument("--methods", nargs="+", help="which of them; else all of the part")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if given.part == "deepfeatures" and given.data is None:
        parser.error("deepfeatures needs --data DIR")
    if unknown := set(given.methods or ()) - set(METHODS[given.part]):
        parser.error(f"--methods must be of {', '.join(METHODS[given.part])}, got {', '.join(sorted(unknown))}")
    if given.cell:
        print(json.dumps(measured(given, given.cell)))
        return
    cells = []
    for method in given.methods or METHODS[given.part]:
        command = [sys.executable, __file__, *sys.argv[1:], "--cell", method]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            cells.append({"method": method, "failed": (ended.stderr.strip().splitlines() or ["ended"])[-1]})
        else:
            cells.append(json.loads(ended.stdout.splitlines()[-1]))
        print(cells[-1], flush=True)
    write(given, cells)


def write(given: argparse.Namespace, cells: list[dict[str, Any]]) -> None:
    """Write the two files, with what other calls measured on the same data."""
    file = given.out / f"cluster_{given.part}.json"
    sizes = {"points": given.points, "clusters": given.clusters, "codewords": given.codewords, "threads": threads()}
    if file.is_file() and (old := json.loads(file.read_text()))["sizes"] == sizes:
        new = {cell["method"] for cell in cells}
        cells = [cell for cell in old["cells"] if cell["method"] not in new] + cells
    order = list(METHODS[given.part])
    cells.sort(key=lambda cell: order.index(cell["method"]))
    folder = " --data DIR" if given.part == "deepfeatures" else ""
    command = f"OMP_NUM_THREADS={threads()} python benchmarks/cluster.py {given.part}{folder}"
    command += f" --points {given.points} --clusters {given.clusters}"
    command += f" --codewords {given.codewords}" * (given.part == "codes")
    about = environment(seed=0, command=command)
    given.out.mkdir(parents=True, exist_ok=True)
    content = {"command": command, "environment": about, "sizes": sizes, "cells": cells}
    file.write_text(json.dumps(content, indent=1) + "\n")
    file.with_suffix(".md").write_text("\n".join(page(given, content)) + "\n")
    print(file.with_suffix(".md").read_text())


def page(given: argparse.Namespace, content: Mapping[str, Any]) -> list[str]:
    """The lines of the table."""
    lines = [
        f"# Clusterings of {given.points:,} {given.part}, {given.clusters:,} clusters\n",
        f"{where(content['environment'])}. `{content['command']}`\n",
        "Processor seconds; assignment of all vectors after faiss's training stands under encoding. Distortion: mean",
        "squared distance of the vectors to the nearest centre, and to the centre of their own label; where centres",
        "are codes, to the mean of the vectors of a cluster; without vectors the method's own, of codes. MiB are those",
        "beside the data.\n",
        "| method | prepare | encode | cluster | wall | MiB | nearest | label | purity | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in content["cells"]:
        if "failed" in cell:
            lines.append(f"| {cell['method']} | | | | | | | | | not measured: {cell['failed']} |")
            continue
        seconds = " | ".join(f"{cell[name]:.2f}" for name in ("prepare", "encode", "cluster", "wall"))
        own = f"{cell['own']:.3f}" if cell["own"] is not None and "nearest" not in cell else ""
        values = [f"{cell[name]:.1f}" if name in cell else own for name in ("nearest", "label")]
        pure = f"{cell['purity']:.3f}" if "purity" in cell else ""
        memory = f"{cell['memory_mib']:,.0f}"
        lines.append(f"| {cell['method']} | {seconds} | {memory} | {' | '.join(values)} | {pure} | {cell['note']} |")
    return lines


if __name__ == "__main__":
    main()
