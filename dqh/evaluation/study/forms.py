"""The features of one tap in each form: raw by L2 and by L1, and cut to bits at 0 and at the median by Hamming.

On bits L1, squared L2 and Hamming are one distance, Σ |x − y| = Σ (x − y)² = number of bits that differ, so that bits
have one row and no three.

Q queries, N database items, F feature dimensions, one bit each.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.codes import pack
from dqh.evaluation.measure import Row, Tally, times
from dqh.index.ways import ways_of
from dqh.quantizers.quantizer import Bits, Coder
from dqh.ranking.buckets import Buckets
from dqh.ranking.relevance import label_tensor, relevance
from dqh.ranking.side import Labels, Side

_CHUNK = 2**21
"""Numbers that are made or converted at a time."""

_WORDS = {"l2": "L2", "l1": "L1", "hamming": "Hamming"}


class TapSide(NamedTuple):
    """The queries, or the database, at one tap: (N, F) float32 features, finite, in memory or mapped, and labels."""

    features: NDArray[np.float32]
    labels: Labels


class Cut(Bits):
    """TapSide cut to bits.

    Args:
        thresholds: (F,) float32; a bit is 1 strictly above that of its dimension.
    """

    def __init__(self, thresholds: NDArray[np.float32]) -> None:
        self.thresholds = thresholds
        self.bits = len(thresholds)

    def encode(self, embedding: NDArray[np.floating[Any]], /) -> NDArray[np.uint8]:
        """(N, ⌈F / 8⌉) packed codes of (N, F) features."""
        step = max(1, _CHUNK // self.bits)
        parts = [pack(embedding[start : start + step] > self.thresholds) for start in range(0, len(embedding), step)]
        return np.concatenate(parts)


def form_rows(
    query: TapSide,
    database: TapSide,
    *,
    tally: Callable[[int], Tally],
    answers: int,
    timed: int,
    device: torch.device | str = "cpu",
) -> list[Row]:
    """Quality, bytes and time of each form and each way of searching it.

    The medians are those of the database; L1 and the timed searches run on the CPU, and 0 `timed` queries are none.

    Returns:
        Rows with `dimension` (F), `form` (`raw`, `> 0`, `> median`), `distance` (`L2`, `L1`, `Hamming`, or of another
        way its own word), the metrics of the tally, `bytes_per_item` and `query_ms`.
    """
    width, items = database.features.shape[1], len(database.features)
    forms: dict[str, Coder | None] = {
        "raw": None,
        "> 0": Cut(np.zeros(width, np.float32)),
        "> median": Cut(medians(database.features)),
    }
    rows = []
    for form, coder in forms.items():
        sides = _side(query, coder), _side(database, coder)
        for way in ways_of(coder):
            if way.reads != ("features" if coder is None else "codes"):
                continue
            kept = tally(items)
            for chunk in way.order(*sides, coder, device=device).buckets():
                kept.add(chunk)
            row: Row = {"dimension": width, "form": form, "distance": _WORDS.get(way.distance, way.distance)}
            row |= {**kept.row(), "bytes_per_item": way.item_bytes(sides[1])}
            if timed:
                search = way.searcher(sides[1], coder, k=min(answers, items))
                few = sides[0].at(range(min(timed, len(sides[0].labels))))
                row["query_ms"] = times(search, few, timed=timed)["query_ms"]
            rows.append(row)
    return rows


def _side(given: TapSide, coder: Coder | None) -> Side:
    codes = np.empty((len(given.features), 0), np.uint8) if coder is None else coder.encode(given.features)
    return Side(codes, given.features, given.features, given.labels)


def medians(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(F,) median of each dimension of (N, F) features; the mean of the middle two where N is even."""
    step = max(1, _CHUNK // max(1, len(features)))
    parts = [np.median(features[:, start : start + step], axis=0) for start in range(0, features.shape[1], step)]
    return np.concatenate(parts).astype(np.float32)


def random_order(query_labels: Labels, database_labels: Labels) -> Iterator[Buckets]:
    """Buckets of a ranking that knows nothing, a chunk of queries at a time: the whole database at one distance."""
    labels, items = label_tensor(query_labels, "cpu"), label_tensor(database_labels, "cpu")
    step = max(1, _CHUNK // len(items))
    for start in range(0, len(labels), step):
        relevant = relevance(labels[start : start + step], items).sum(1, keepdim=True)
        yield Buckets(torch.full_like(relevant, len(items)), relevant)
