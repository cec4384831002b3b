"""The features of one tap in each form: raw by L2 and by L1, and cut to bits at 0 and at the median by Hamming.

On bits L1, squared L2 and Hamming are one distance, Σ |x − y| = Σ (x − y)² = number of bits that differ, so that bits
have one row and no three.

Q queries, N database items, F feature dimensions, one bit each.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from dqh.codes import pack
from dqh.evaluation.buckets import Buckets, group, hamming_buckets
from dqh.evaluation.ranked import exhaustive_buckets
from dqh.evaluation.relevance import Labels, label_tensor, relevance
from dqh.evaluation.tally import Row, Tally

_CHUNK = 2**21
"""Numbers that are made or converted at a time."""

Scan = Callable[[slice], object]


class Side(NamedTuple):
    """The queries, or the database, at one tap.

    Attributes:
        features: (N, F) float32, array or memory map, finite.
        labels: (N,) int64, or (N, C) bool.
    """

    features: NDArray[np.float32]
    labels: Labels


def form_rows(
    query: Side,
    database: Side,
    *,
    tally: Callable[[int], Tally],
    answers: int,
    timed: int,
    device: torch.device | str = "cpu",
) -> list[Row]:
    """Quality, bytes and time of each form and distance.

    Args:
        query: the queries.
        database: what is searched; the medians are its own.
        tally: makes an empty tally for a database of N items.
        answers: items that the timed searches return, at least 1.
        timed: queries that are timed alone, at most; 0 leaves `query_ms` out.
        device: where L2 and Hamming are computed; L1 and the timed searches run on the CPU.

    Returns:
        Rows with `dimension` (F), `form` (`raw`, `> 0`, `> median`), `distance` (`L2`, `L1`, `Hamming`), the metrics of
        the tally, `bytes_per_item` and `query_ms`.
    """
    vectors, items = query.features, database.features
    width, k, timed = items.shape[1], min(answers, len(items)), min(timed, len(vectors))

    def row(form: str, distance: str, chunks: Iterator[Buckets], item_bytes: int, scan: Scan) -> Row:
        kept = tally(len(items))
        for chunk in chunks:
            kept.add(chunk)
        found: Row = {
            "dimension": width,
            "form": form,
            "distance": distance,
            **kept.row(),
            "bytes_per_item": item_bytes,
        }
        return found | ({"query_ms": _median_ms(scan, timed)} if timed else {})

    def raw(distance: str, buckets: Callable[..., Iterator[Buckets]], metric: int) -> Row:
        chunks = buckets(vectors, items, query_labels=query.labels, database_labels=database.labels, device=device)
        return row("raw", distance, chunks, 4 * width, lambda rows: faiss.knn(vectors[rows], items, k, metric=metric))

    def bits(form: str, thresholds: NDArray[np.float32]) -> Row:
        codes, coded = binarise(vectors, thresholds), binarise(items, thresholds)
        chunks = bit_buckets(
            codes, coded, query_labels=query.labels, database_labels=database.labels, bits=width, device=device
        )
        return row(form, "Hamming", chunks, coded.shape[1], lambda rows: faiss.knn_hamming(codes[rows], coded, k))

    return [
        raw("L2", exhaustive_buckets, faiss.METRIC_L2),
        raw("L1", l1_buckets, faiss.METRIC_L1),
        bits("> 0", np.zeros(width, np.float32)),
        bits("> median", medians(items)),
    ]


def medians(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(F,) median of each dimension of (N, F) features; the mean of the middle two where N is even."""
    step = max(1, _CHUNK // max(1, len(features)))
    parts = [np.median(features[:, start : start + step], axis=0) for start in range(0, features.shape[1], step)]
    return np.concatenate(parts).astype(np.float32)


def binarise(features: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(N, ⌈F / 8⌉) packed codes of (N, F) features: a bit is 1 strictly above the threshold of its dimension."""
    step = max(1, _CHUNK // features.shape[1])
    parts = [pack(features[start : start + step] > thresholds) for start in range(0, len(features), step)]
    return np.concatenate(parts)


def l1_buckets(
    query: NDArray[np.float32],
    database: NDArray[np.float32],
    *,
    query_labels: Labels,
    database_labels: Labels,
    device: torch.device | str = "cpu",
) -> Iterator[Buckets]:
    """Buckets by L1 distance, a chunk of queries at a time; Σ |q − x|, summed in float32 by faiss, on the CPU.

    Equal vectors have equal distances wherever they stand in the database; equal distances form one bucket.

    Args:
        query: (Q, F).
        database: (N, F), array or memory map.
        query_labels: (Q,) int64 or (Q, C) bool.
        database_labels: (N,) int64 or (N, C) bool.
        device: where the buckets are made.

    Yields:
        Buckets, in the order of the queries.
    """
    labels, items = label_tensor(query_labels, device), label_tensor(database_labels, device)
    step = max(1, _CHUNK // len(database))
    for start in range(0, len(query), step):
        rows = slice(start, start + step)
        distances = torch.from_numpy(faiss.pairwise_distances(query[rows], database, metric=faiss.METRIC_L1))
        # Not negative, so that the bits of a float32 order as the number does.
        yield group(distances.to(device).view(torch.int32), relevance(labels[rows], items))


def bit_buckets(
    query: NDArray[np.uint8],
    database: NDArray[np.uint8],
    *,
    query_labels: Labels,
    database_labels: Labels,
    bits: int,
    device: torch.device | str = "cpu",
) -> Iterator[Buckets]:
    """What `hamming_buckets` gives, a chunk of queries at a time: codes of thousands of bits have as many buckets."""
    step = max(1, _CHUNK // (bits + 1))
    for start in range(0, len(query), step):
        rows = slice(start, start + step)
        yield hamming_buckets(
            query[rows],
            database,
            query_labels=query_labels[rows],
            database_labels=database_labels,
            bits=bits,
            device=device,
        )


def random_order(query_labels: Labels, database_labels: Labels) -> Iterator[Buckets]:
    """Buckets of a ranking that knows nothing, a chunk of queries at a time: the whole database at one distance."""
    labels, items = label_tensor(query_labels, "cpu"), label_tensor(database_labels, "cpu")
    step = max(1, _CHUNK // len(items))
    for start in range(0, len(labels), step):
        relevant = relevance(labels[start : start + step], items).sum(1, keepdim=True)
        yield Buckets(torch.full_like(relevant, len(items)), relevant)


def _median_ms(scan: Scan, count: int) -> float:
    """Median milliseconds of a query alone, after one to warm up."""
    spent = []
    for row in [0, *range(count)]:
        start = time.perf_counter()
        scan(slice(row, row + 1))
        spent.append(time.perf_counter() - start)
    return 1000 * float(np.median(spent[1:]))
