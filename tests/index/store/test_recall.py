from pathlib import Path

import numpy as np
import pytest

from dqh.index.store import Header, Row, Writer
from dqh.index.store.recall import measure_recall, recall_at
from dqh.quantizers import ClassIndex, ProductQuantizer, Quantizer, Threshold
from dqh.ranking import Ranking
from tests.index.store.conftest import opened


class Given:
    """An engine that knows its answers."""

    name = "given"

    def __init__(self, ids: list[list[int]], distances: list[list[float]]) -> None:
        self._answers = Ranking(np.array(ids), np.array(distances, np.float32))

    def search(self, embeddings: np.ndarray, k: int) -> Ranking:
        return Ranking(self._answers.ids[:, :k], self._answers.distances[:, :k])


def test_recall_by_hand() -> None:
    """Query 0: 7 is as near as 2, so both answers count; query 1: one of two. (2 + 1) / 4."""
    exact = Given([[1, 2, 7], [4, 5, 6]], [[0, 3, 3], [1, 2, 9]])
    engine = Given([[1, 7, -1], [4, 6, -1]], [[0, 3, np.inf], [1, 9, np.inf]])
    assert recall_at(engine, exact, np.zeros((2, 1)), 2) == 0.75
    assert recall_at(exact, exact, np.zeros((2, 1)), 3) == 1
    assert recall_at(Given([[-1], [-1]], [[np.inf], [np.inf]]), exact, np.zeros((2, 1)), 1) == 0


@pytest.mark.parametrize(
    "quantizer",
    [
        Threshold(8, threshold=-3.0),
        ClassIndex(8),
        ProductQuantizer.from_codebooks(np.random.default_rng(0).random((4, 16, 2), np.float32)),
    ],
    ids=lambda quantizer: quantizer.kind,
)
def test_recall_over_an_index(tmp_path: Path, quantizer: Quantizer) -> None:
    """Each query has the code of an item: an exact engine finds it at no distance, whatever the threshold is."""
    codes = quantizer.encode(np.random.default_rng(1).standard_normal((60, 8)).astype(np.float32) * 3)
    with Writer(tmp_path, Header("id", quantizer, 1)) as writer:
        writer.add([Row(str(number)) for number in range(60)], codes, np.zeros((60, 1), np.float32))
        writer.commit()
    exact, graph = ("aqd", "hnsw") if quantizer.kind == "pq" else ("hamming", "binary_hnsw")
    first, second = measure_recall(opened(tmp_path), (exact, graph), k=500, queries=20)
    assert first == (exact, 1.0, 60, 20)
    assert second.recall > 0.9
    (again,) = measure_recall(opened(tmp_path), (graph,), k=500, queries=20)
    assert again == second
