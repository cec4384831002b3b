"""Some of the queries, ranked as the whole: bit for bit where they begin at a chunk of the whole."""

import numpy as np
import pytest
import torch

from dqh.index.orders import hamming as hamming_module
from dqh.index.orders import vectors as vectors_module
from dqh.index.ways import WAYS, Candidates
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, Threshold
from dqh.quantizers.quantizer import Coder
from dqh.ranking import buckets as buckets_module
from dqh.ranking import keys as keys_module
from dqh.ranking.buckets import Buckets
from dqh.ranking.side import Side

QUERIES, ITEMS, DIMENSION = 23, 60, 8
GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.standard_normal((QUERIES + ITEMS, DIMENSION)).astype(np.float32)
LABELS = GENERATOR.integers(0, 3, QUERIES + ITEMS)
QUANTIZERS: dict[str, Coder | None] = {
    "threshold": Threshold(DIMENSION, threshold=0),
    "pq": ProductQuantizer(2, 4).fit(VECTORS),
    "opq": OptimizedProductQuantizer(2, 4).fit(VECTORS),
    "none": None,
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries a chunk, two chunks a block, three queries of histograms that are kept."""
    monkeypatch.setitem(keys_module._PAIRS, "cpu", 2 * ITEMS)
    monkeypatch.setitem(vectors_module._BLOCK_CHUNKS, "cpu", 2)
    monkeypatch.setattr(buckets_module, "QUERIES", 3)
    monkeypatch.setattr(hamming_module, "QUERIES", 3)


def sides(coder: Coder | None) -> tuple[Side, Side]:
    codes = np.empty((len(VECTORS), 0), np.uint8) if coder is None else coder.encode(VECTORS)
    whole = Side(codes, VECTORS, VECTORS, LABELS)
    return whole.at(range(QUERIES)), whole.at(range(QUERIES, QUERIES + ITEMS))


def content(chunks: list[dict[str, Buckets]]) -> list[dict[str, tuple[list, list]]]:
    return [{name: (one.counts.tolist(), one.relevant.tolist()) for name, one in chunk.items()} for chunk in chunks]


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("kept", [2**25, 0])
@pytest.mark.parametrize(
    ("name", "kind"),
    [(way.name, kind) for kind, coder in QUANTIZERS.items() for way in WAYS.values() if way.fits(coder)],
)
def test_rows_are_ranked_as_the_whole_ranks_them(
    name: str, kind: str, stable: bool, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hamming_module, "_KEPT_CELLS", kept)
    monkeypatch.setattr(hamming_module, "_CELLS", 5 * (DIMENSION + 1))
    way, coder = WAYS[name].among(Candidates(9)), QUANTIZERS[kind]
    if coder is None and "codes" in way.reads:
        pytest.skip("a way of codes, and there are none")
    whole = way.order(*sides(coder), coder)
    step = whole.together(stable=stable)
    assert 1 < step < QUERIES
    wanted, sizes, histograms = content(list(whole.along(stable=stable))), whole.pool_sizes(), whole.histograms()
    for size in (step, 2 * step):
        order = way.order(*sides(coder), coder)
        parts = [slice(start, min(start + size, QUERIES)) for start in range(0, QUERIES, size)]
        for backwards in (parts, parts[::-1]):  # in whatever order they are asked for
            ranked = {rows.start: content(list(order.along(stable=stable, rows=rows))) for rows in backwards}
            assert [chunk for start in sorted(ranked) for chunk in ranked[start]] == wanted
        if sizes is not None:
            assert torch.cat([order.pool_sizes(rows) for rows in parts]).tolist() == sizes.tolist()
        if histograms is not None:
            assert torch.cat([order.histograms(rows).counts for rows in parts]).tolist() == histograms.counts.tolist()
