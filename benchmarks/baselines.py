"""Every shallow baseline against an independent implementation, on deep features.

    python benchmarks/baselines.py --root DIR

--root has features_pca128_f16.npy and labels.npy, MobileNetV2 features of Tiny-ImageNet after PCA, 200 classes. Of the
first 20,000 rows each seed draws queries; the others are fitted on and searched. The other implementations are faiss,
and, where it has none, plain numpy and scipy written from the paper without a look at ours. Two numbers:

- mAP@all: relevant are items of the query's class; the denominator of AP is the number of relevant items;
- 10-recall@100: of the 10 items nearest by float features, squared L2, the share among the first 100 by codes.

Both take items of equal distance in random order, the same for the two. Binary codes are ranked by Hamming distance,
the others by the squared L2 distance of the float query to the decoded item. Writes benchmarks/results/baselines.json
and .md, anew after every method, so that a run that is cut short keeps what it has.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import scipy.linalg
import scipy.optimize
from quality import RESULTS, where
from threadpoolctl import threadpool_limits

from dqh.environment import environment
from dqh.evaluation.baselines import BASELINES
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, VectorQuantizer

ROWS, BITS, VQ_BITS, SEEDS = 20_000, 64, 8, 3
KSH_BITS, KSH_LABELLED = 16, 500  # its fits take minutes at 64 bits and 1,000
Rank = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(queries, database) → (Q, N) distances."""


class Split(NamedTuple):
    """Vectors (N, F) float32 and labels (N,) of one seed."""

    query: np.ndarray
    query_labels: np.ndarray
    database: np.ndarray
    labels: np.ndarray


def hamming(query: np.ndarray, database: np.ndarray) -> np.ndarray:
    """(Q, N) number of different bits of bool (Q, B) and (N, B)."""
    one, other = (np.where(bits, np.float32(1), np.float32(-1)) for bits in (query, database))
    return np.round((query.shape[1] - one @ other.T) / 2)


def squared_l2(query: np.ndarray, database: np.ndarray) -> np.ndarray:
    """(Q, N) squared L2 distances, but for the square of the query."""
    return np.asarray(np.square(database).sum(axis=1) - 2 * query @ database.T)


def signs(function: Callable[[np.ndarray], np.ndarray]) -> Rank:
    """Distances by the signs of (N, F) → (N, B) functions."""
    return lambda query, database: hamming(function(query) >= 0, function(database) >= 0)


def bits_of(name: str) -> int:
    """Bits that a method is compared at."""
    return {"vq": VQ_BITS, "ksh": KSH_BITS}.get(name, BITS)


def ours(name: str, vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """The product's baseline, fitted."""
    if name in BASELINES:
        more = {"labelled": KSH_LABELLED} if name == "ksh" else {}
        method = BASELINES[name](bits_of(name), seed=seed, **more).fit(vectors, labels)
        return lambda *sides: hamming(*(np.unpackbits(method.encode(side), axis=1) for side in sides))
    quantizer: ProductQuantizer = {
        "vq": lambda: VectorQuantizer(2**VQ_BITS, seed=seed),
        "pq": lambda: ProductQuantizer(BITS // 8, 256, seed=seed),
        "opq": lambda: OptimizedProductQuantizer(BITS // 8, 256, seed=seed),
    }[name]().fit(vectors)
    return lambda query, database: squared_l2(query, quantizer.decode(quantizer.encode(database)))


def faiss_lsh(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """`IndexLSH` behind a random rotation."""
    index = faiss.IndexLSH(vectors.shape[1], BITS, True)
    index.rrot.init(seed + 1)
    return lambda *sides: hamming(*(np.unpackbits(index.sa_encode(side), axis=1) for side in sides))


def plain_lsh(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """Charikar 2002, §3, after centring as ours."""
    normals = np.random.RandomState(seed).randn(vectors.shape[1], BITS)
    return signs(lambda rows: (rows - vectors.mean(axis=0)) @ normals)


def principal(vectors: np.ndarray) -> np.ndarray:
    """(F, B) eigenvectors of the covariance, the largest first."""
    return np.asarray(scipy.linalg.eigh(np.cov(vectors.T.astype(np.float64)))[1][:, ::-1][:, :BITS])


def plain_sh(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """Weiss et al. 2008: sin(π/2 + kπ x / (b − a)) of smallest eigenvalue, x from a on."""
    mean, axes = vectors.mean(axis=0), principal(vectors)
    boxes = (vectors - mean) @ axes
    low, side = boxes.min(axis=0), np.ptp(boxes, axis=0)
    modes = sorted((k / side[axis], k, axis) for axis in range(BITS) for k in range(1, BITS + 1))[:BITS]
    number, axis = np.array([mode[1] for mode in modes]), np.array([mode[2] for mode in modes])
    return signs(lambda rows: np.sin(np.pi / 2 + number * np.pi * (((rows - mean) @ axes - low) / side)[:, axis]))


def rotated(projected: np.ndarray, seed: int) -> np.ndarray:
    """Gong and Lazebnik 2011, §2.2: 50 times B = sgn(V R), R = Ŝ Sᵀ with Bᵀ V = S Ω Ŝᵀ."""
    rotation = np.linalg.qr(np.random.RandomState(seed).randn(BITS, BITS))[0]
    for _ in range(50):
        s, _, s_hat_transposed = scipy.linalg.svd(np.sign(projected @ rotation).T @ projected)
        rotation = s_hat_transposed.T @ s.T
    return np.asarray(rotation)


def plain_itq(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """Gong and Lazebnik 2011: PCA and the rotation."""
    mean, axes = vectors.mean(axis=0), principal(vectors)
    projection = axes @ rotated((vectors - mean) @ axes, seed)
    return signs(lambda rows: (rows - mean) @ projection)


def plain_itq_cca(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """Gong and Lazebnik 2011, §4: Cxy (Cyy + ρI)⁻¹ Cyx w = λ² (Cxx + ρI) w, scaled by λ; the rotation."""
    mean, dimension = vectors.mean(axis=0), vectors.shape[1]
    onehot = labels[:, None] == np.unique(labels)
    both = np.cov(np.concatenate([vectors, onehot], axis=1).T.astype(np.float64))
    xx, xy, yy = both[:dimension, :dimension], both[:dimension, dimension:], both[dimension:, dimension:]
    xx, yy = (part + 1e-4 * np.diag(part).mean() * np.eye(len(part)) for part in (xx, yy))
    squares, directions = scipy.linalg.eigh(xy @ np.linalg.solve(yy, xy.T), xx)
    leading = (directions * np.sqrt(squares.clip(0)))[:, ::-1][:, :BITS]
    projection = leading @ rotated((vectors - mean) @ leading, seed)
    return signs(lambda rows: (rows - mean) @ projection)


def plain_ksh(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """Liu et al. 2012: 300 anchors, a labelled sample, spectral relaxation, then tanh by scipy's L-BFGS."""
    drawn = np.random.RandomState(seed)
    anchors, rows = (vectors[drawn.permutation(len(vectors))[:300]], drawn.permutation(len(vectors))[:KSH_LABELLED])
    width = 2 * np.mean([np.square(vectors - anchor).sum(axis=1).mean() for anchor in anchors])
    raw = [np.exp(-np.square(vectors - anchor).sum(axis=1) / width) for anchor in anchors]
    mean, kernel = np.mean(raw, axis=1), np.array(raw).T[rows] - np.mean(raw, axis=1)
    residue = KSH_BITS * np.where(labels[rows][:, None] == labels[rows], 1.0, -1.0)
    gram = kernel.T @ kernel + 1e-8 * np.trace(kernel.T @ kernel) * np.eye(len(anchors))
    weights = []
    for _ in range(KSH_BITS):
        weight = scipy.linalg.eigh(kernel.T @ residue @ kernel, gram)[1][:, -1] * np.sqrt(len(rows))

        def negated(a: np.ndarray, residue: np.ndarray = residue) -> tuple[float, np.ndarray]:
            smooth = np.tanh(kernel @ a / 2)
            return -smooth @ residue @ smooth, -kernel.T @ ((residue @ smooth) * (1 - smooth**2))

        smoothed = scipy.optimize.minimize(negated, weight, jac=True, method="L-BFGS-B", options={"maxiter": 30}).x
        codes = [np.where(kernel @ each >= 0, 1.0, -1.0) for each in (weight, smoothed)]
        better = int(codes[1] @ residue @ codes[1] > codes[0] @ residue @ codes[0])
        weights.append((weight, smoothed)[better])
        residue = residue - np.outer(codes[better], codes[better])
    projection = np.array(weights).T

    def functions(rows: np.ndarray) -> np.ndarray:
        near = np.array([np.exp(-np.square(rows - anchor).sum(axis=1) / width) for anchor in anchors]).T
        return np.asarray((near - mean) @ projection)

    return signs(functions)


def faiss_vq(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """`Kmeans`, 25 iterations."""
    found = faiss.Kmeans(vectors.shape[1], 2**VQ_BITS, niter=25, seed=seed + 1)
    found.train(vectors)
    return lambda query, database: squared_l2(query, found.centroids[found.index.search(database, 1)[1][:, 0]])


def faiss_pq(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """`ProductQuantizer`, 25 iterations."""
    found = faiss.ProductQuantizer(vectors.shape[1], BITS // 8, 8)
    found.cp.seed = seed + 1
    found.train(vectors)
    return lambda query, database: squared_l2(query, found.decode(found.compute_codes(database)))


def faiss_opq(vectors: np.ndarray, labels: np.ndarray, seed: int) -> Rank:
    """`OPQMatrix` with its defaults, then `ProductQuantizer`."""
    matrix = faiss.OPQMatrix(vectors.shape[1], BITS // 8)
    matrix.train(vectors)
    rank = faiss_pq(matrix.apply(vectors), labels, seed)
    return lambda query, database: rank(matrix.apply(query), matrix.apply(database))


THEIRS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray, int], Rank]]] = {
    "lsh": ("faiss IndexLSH", faiss_lsh),
    "lsh_gaussian": ("numpy", plain_lsh),
    "sh": ("numpy", plain_sh),
    "itq": ("numpy, scipy", plain_itq),
    "itq_cca": ("numpy, scipy", plain_itq_cca),
    "vq": ("faiss Kmeans", faiss_vq),
    "pq": ("faiss ProductQuantizer", faiss_pq),
    "opq": ("faiss OPQMatrix", faiss_opq),
    "ksh": ("numpy, scipy L-BFGS", plain_ksh),
}


def split(vectors: np.ndarray, labels: np.ndarray, *, queries: int, seed: int) -> Split:
    """Queries drawn by the seed; all other rows are the database."""
    order = np.random.default_rng(seed).permutation(len(vectors))
    query, database = order[:queries], order[queries:]
    return Split(vectors[query], labels[query], vectors[database], labels[database])


def measures(rank: Rank, sides: Split, nearest: np.ndarray, *, seed: int) -> tuple[float, float]:
    """mAP@all and 10-recall@100, ties in random order; `nearest` (Q, 10) holds rows of the database."""
    distances = rank(sides.query, sides.database)
    shuffled = np.random.default_rng(seed).permutation(distances.shape[1])
    order = shuffled[np.argsort(distances[:, shuffled], axis=1, kind="stable")]
    relevant = sides.labels[order] == sides.query_labels[:, None]
    hits = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    precision = (hits * relevant).sum(axis=1) / relevant.sum(axis=1).clip(1)
    recall = [np.isin(row[:100], wanted).sum() / 10 for row, wanted in zip(order, nearest, strict=True)]
    return float(precision.mean()), float(np.mean(recall))


def compare(name: str, sides: Split, nearest: np.ndarray, *, seed: int) -> dict[str, dict[str, float]]:
    """What ours and theirs reach on one split, and the seconds of the fits."""
    cell = {}
    ways = {"ours": lambda *data: ours(name, *data), "theirs": THEIRS[name][1]}
    for who, fit in ways.items():
        start = time.perf_counter()
        rank = fit(sides.database, sides.labels, seed)
        seconds = time.perf_counter() - start
        quality, recall = measures(rank, sides, nearest, seed=seed)
        cell[who] = {"mAP@all": quality, "10-recall@100": recall, "fit_seconds": round(seconds, 2)}
    return cell


def table(result: dict[str, Any]) -> str:
    """The result as markdown: mean and standard deviation over the seeds."""
    lines = [
        "# Shallow baselines against independent implementations\n",
        f"{where(result['environment'])}.\n\n    {result['command']}\n",
        f"MobileNetV2 features of Tiny-ImageNet, PCA to 128 dimensions, 200 classes. Of {ROWS:,} rows each of {SEEDS} "
        f"seeds draws {result['queries']} queries; the other {ROWS - result['queries']:,} are fitted on and searched. "
        "Mean ± standard deviation over the seeds, of means over all queries. mAP@all divides by the number of items "
        "of the query's class; 10-recall@100 by 10, the nearest by float features. Ties are in random order.\n",
        "| baseline | bits | other implementation | mAP@all, ours | theirs | 10-recall@100, ours | theirs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, cells in result["methods"].items():
        values = [
            f"{np.mean(numbers):.4f} ± {np.std(numbers, ddof=1):.4f}"
            for metric in ("mAP@all", "10-recall@100")
            for numbers in ([cell[who][metric] for cell in cells] for who in ("ours", "theirs"))
        ]
        lines.append(f"| `{name}` | {bits_of(name)} | {THEIRS[name][0]} | {' | '.join(values)} |")
    if "ksh" in result["methods"]:
        lines.append(f"\n`ksh` learns from {KSH_LABELLED} labelled rows here, in place of 1,000, in both.")
    missing = [f"`{name}`" for name in THEIRS if name not in result["methods"]]
    if missing:
        lines.append(f"\nNot measured yet: {', '.join(missing)}; `--methods` adds them.")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the deep features")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--methods", nargs="+", choices=THEIRS, default=list(THEIRS), help="others keep their results")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    vectors = np.load(given.root / "features_pca128_f16.npy")[:ROWS].astype(np.float32)
    labels = np.load(given.root / "labels.npy")[:ROWS]
    command = f"python benchmarks/baselines.py --root DIR --queries {given.queries}"
    about = environment(command=command, seed=0)
    methods: dict[str, list[dict[str, dict[str, float]]]] = {}
    kept = given.out / "baselines.json"
    if kept.is_file() and len(given.methods) < len(THEIRS):
        methods |= json.loads(kept.read_text())["methods"]
    result = {"command": command, "environment": about, "queries": given.queries, "methods": methods}
    sides = [split(vectors, labels, queries=given.queries, seed=seed) for seed in range(SEEDS)]
    nearest = [np.argpartition(squared_l2(each.query, each.database), 10, axis=1)[:, :10] for each in sides]
    for name in given.methods:
        cells = [compare(name, sides[seed], nearest[seed], seed=seed) for seed in range(SEEDS)]
        methods[name] = cells
        print(name, json.dumps(cells), flush=True)
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "baselines.json").write_text(json.dumps(result, indent=1) + "\n")
        (given.out / "baselines.md").write_text(table(result))


if __name__ == "__main__":
    with threadpool_limits(1, user_api="blas"):
        main()
