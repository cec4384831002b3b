"""k-means on the CPU or a GPU: k-means++ or a warm start, Lloyd's iterations, empty cells filled by splitting.

All arithmetic is in float32 on the device of the vectors, with the mean of the vectors taken off first, so that a
common offset costs no digits. What is random is drawn on the CPU from a generator, sums run in a fixed order, and no
more than `CHUNK` distances exist at a time, on the CPU `CACHED` a thread.

N vectors of d dimensions, K clusters.
"""

from queue import Empty, SimpleQueue
from typing import NamedTuple

import torch
from torch import Tensor

from dqh.ranking.parallel import in_order

CHUNK = 2**22
"""Distances held at a time, 16 MiB of float32; at least one vector's K are."""

CACHED = 2**20
"""The same of a thread of the CPU, 4 MiB: they are looked through before they leave its cache."""

ROUNDS = 256
"""Rounds of drawing at the start; with more clusters than this, several are drawn a round."""

SPLIT = 1 / 16
"""How far the two halves of a split cell move away from its centroid, as a part of the way to its farthest vector."""


class Clusters(NamedTuple):
    """K-means of N vectors.

    Attributes:
        centroids: (K, d) float32.
        assignment: (N,) int64, nearest centroid of each vector.
        distortion: mean squared L2 distance of a vector to its centroid.
    """

    centroids: Tensor
    assignment: Tensor
    distortion: float


def kmeans(
    vectors: Tensor,
    clusters: int,
    *,
    generator: torch.Generator,
    iterations: int = 25,
    start: Tensor | None = None,
) -> Clusters:
    """Cluster vectors by Lloyd's algorithm, which stops early once no vector changes its cluster.

    An empty cell takes over half of a cell with a large error: the one centroid becomes two, moved apart along the
    line to the farthest vector of the cell (Linde, Buzo, Gray 1980 split by a fixed vector instead), each cell at most
    once an iteration. Cells stay empty where there are fewer distinct vectors than clusters, or few iterations.

    Args:
        vectors: (N, d) float32, finite, on any device.
        clusters: K, at most N.
        generator: on the CPU; used for the start alone.
        iterations: of assignment and update at most, at least 1.
        start: (K, d) float32 centroids of a warm start; k-means++ where there are none.

    Returns:
        Clusters, on the device of the vectors.

    Raises:
        ValueError: K or `iterations` is below 1, K is larger than N, or `start` has another shape.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> found = kmeans(points, 2, generator=torch.Generator().manual_seed(0))
        >>> sorted(found.centroids.flatten().tolist()), found.distortion
        ([0.5, 10.5], 0.25)
    """
    _require(vectors, clusters, iterations, start)
    mean = vectors.mean(0)
    vectors = vectors - mean
    centroids = plus_plus(vectors, clusters, generator=generator) if start is None else start - mean
    assignment, distances = nearest(vectors, centroids)
    for _ in range(iterations):
        centroids, last = update(vectors, centroids, assignment, distances), assignment
        assignment, distances = nearest(vectors, centroids)
        if torch.equal(assignment, last):
            break
    return Clusters(centroids + mean, assignment, float(distances.double().mean()))


def nearest(vectors: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest centroid of each vector, (N,) int64, and its squared L2 distance, (N,) float32; first of equals.

    N may be 0. No gradient is kept of the distances.
    """
    vectors, centroids = vectors.detach(), centroids.detach()  # what a thread computes into takes no gradient
    # |x - c|^2 = |x|^2 + |c|^2 - 2 x·c
    norms = centroids.square().sum(1)
    assignment = torch.empty(len(vectors), dtype=torch.int64, device=vectors.device)
    distances = vectors.square().sum(1)
    at_once = CACHED if vectors.device.type == "cpu" else CHUNK
    step = max(1, min(len(vectors), at_once // len(centroids)))
    rooms = SimpleQueue[Tensor]()  # used again, as new memory is handed out page by page

    def of_rows(start: int) -> tuple[Tensor, Tensor]:
        part = vectors[start : start + step]
        try:
            room = rooms.get_nowait()
        except Empty:
            room = distances.new_empty(step, len(centroids))
        scores = torch.addmm(norms, part, centroids.T, alpha=-2, out=room[: len(part)])
        places = first_smallest(scores)
        least = scores.gather(1, places[:, None])[:, 0]
        rooms.put(room)
        return places, least

    starts = range(0, len(vectors), step)
    answers = in_order(of_rows, starts, device=vectors.device, most=max(1, len(starts)))
    for number, (places, least) in enumerate(answers):
        rows = slice(number * step, number * step + step)
        assignment[rows], distances[rows] = places, distances[rows] + least
    return assignment, distances.clamp_(min=0)


def first_smallest(scores: Tensor) -> Tensor:
    """Places (…) of the smallest of each row (…, K), the first of equals; on the CPU numpy is faster than torch."""
    return torch.from_numpy(scores.numpy().argmin(axis=-1)) if scores.device.type == "cpu" else scores.argmin(-1)


def plus_plus(vectors: Tensor, clusters: int, *, generator: torch.Generator) -> Tensor:
    """Vectors to start from: each drawn in proportion to its squared distance from those already drawn.

    Up to `ROUNDS` clusters this is k-means++ (Arthur and Vassilvitskii 2007); beyond, each round draws several at once
    from one distribution, one out of each of as many equal shares of it, as rounds of K distances a vector would take
    longer than all that follows.

    Returns:
        (K, d) float32, vectors of the input; distinct where there are enough distinct ones and K is at most `ROUNDS`.
    """
    first = int(torch.randint(len(vectors), (1,), generator=generator))
    chosen = [torch.tensor([first])]
    distances = torch.full((len(vectors),), torch.inf, device=vectors.device)
    rounds = min(clusters, ROUNDS) - 1
    for drawn in range(rounds):
        last = vectors[chosen[-1].to(vectors.device)]
        distances = torch.minimum(distances, nearest(vectors, last)[1])
        share = (clusters - 1) * (drawn + 1) // rounds - (clusters - 1) * drawn // rounds
        chosen.append(_draw(distances, share, generator))
    return vectors[torch.cat(chosen).to(vectors.device)]


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices drawn in proportion to weights, one of each of `count` equal shares; uniformly if all weights are 0."""
    total = weights.double().cpu().cumsum(0)
    if total[-1] == 0:
        return torch.randint(len(weights), (count,), generator=generator)
    places = (torch.arange(count) + torch.rand(count, generator=generator, dtype=torch.float64)) / count * total[-1]
    return torch.searchsorted(total, places, right=True).clamp_(max=len(weights) - 1)


def update(vectors: Tensor, centroids: Tensor, assignment: Tensor, distances: Tensor) -> Tensor:
    """Means of the cells, and two halves of a cell of large error for each cell that is empty.

    Args:
        vectors: (N, d) float32.
        centroids: (K, d) float32, which stay where a cell is empty and none is left to be split.
        assignment: (N,) int64, the cell of each vector, 0 … K − 1.
        distances: (N,) float32, how far it lies from the middle of its cell.

    Returns:
        (K, d) float32.
    """
    counts = torch.bincount(assignment, minlength=len(centroids))
    order = assignment.argsort(stable=True)
    sums = torch.segment_reduce(vectors[order], "sum", lengths=counts, unsafe=True, initial=0)
    centroids = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centroids)
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        order = order[distances[order].argsort(stable=True)]
        order = order[assignment[order].argsort(stable=True)]
        errors = torch.segment_reduce(distances[order].double(), "sum", lengths=counts, unsafe=True, initial=0)
        large = errors.argsort(descending=True, stable=True)[: len(empty)]
        large = large[errors[large] > 0]
        farthest = vectors[order[counts.cumsum(0)[large] - 1]]
        step = SPLIT * (farthest - centroids[large])
        centroids[empty[: len(large)]] = centroids[large] + step
        centroids[large] -= step
    return centroids


def _require(vectors: Tensor, clusters: int, iterations: int, start: Tensor | None) -> None:
    if not 1 <= clusters <= len(vectors):
        raise ValueError(
            f"clusters must be at least 1 and at most the number of vectors, got {clusters} clusters for "
            f"{len(vectors)} vectors; give more vectors or ask for fewer clusters"
        )
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if start is not None and start.shape != (clusters, vectors.shape[1]):
        raise ValueError(f"start must have shape ({clusters}, {vectors.shape[1]}), got {tuple(start.shape)}")
