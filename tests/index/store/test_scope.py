import numpy as np
import pytest

from dqh.index.engines import Engine, ExactEngine, build
from dqh.index.engines.engine import ordered
from dqh.index.store.scope import rows_scope, whole_scope
from dqh.index.ways import main_way
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking import Ranking

COUNT = 800
VECTORS = np.random.default_rng(0).standard_normal((COUNT, 12)).astype(np.float32)
QUERIES = np.random.default_rng(1).standard_normal((7, 12)).astype(np.float32)
QUANTIZERS = {
    "binary": Threshold(12, threshold=0.0),
    "pq": ProductQuantizer.from_codebooks(np.random.default_rng(2).standard_normal((4, 16, 3)).astype(np.float32)),
}


class Unfiltering(ExactEngine):
    """An exact engine, as anybody may write one, that takes no bitmap."""

    name = "unfiltering"

    def __init__(self, exact: ExactEngine) -> None:
        self._exact = exact

    def search(self, embeddings: np.ndarray, k: int) -> Ranking:
        return self._exact.search(embeddings, k)

    def within(self, embeddings: np.ndarray, radius: float) -> Ranking:
        return self._exact.within(embeddings, radius)


def exact(quantizer: Quantizer, vectors: np.ndarray) -> ExactEngine:
    engine = build(main_way(quantizer).engine, quantizer, main_way(quantizer), quantizer.encode(vectors))
    assert isinstance(engine, ExactEngine)
    return engine


def only(ranking: Ranking, rows: np.ndarray) -> Ranking:
    """What of a ranking is one of some rows, the rest as padding."""
    inside = np.isin(ranking.ids, rows)
    return ordered(np.where(inside, ranking.ids, -1), np.where(inside, ranking.distances, np.inf).astype(np.float32))


@pytest.mark.parametrize("kind", QUANTIZERS)
@pytest.mark.parametrize("filtering", [True, False])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 500, 800])
def test_some_rows_are_searched_as_if_the_others_were_not_there(kind: str, filtering: bool, size: int) -> None:
    """A bitmap from an eighth of all rows on, where the engine takes one; else an engine over these rows."""
    quantizer = QUANTIZERS[kind]
    whole = exact(quantizer, VECTORS)
    rows = np.sort(np.random.default_rng(size).choice(COUNT, size, replace=False))
    scope = rows_scope(
        rows,
        COUNT,
        images=3,
        whole=lambda: whole if filtering else Unfiltering(whole),
        part=lambda: exact(quantizer, VECTORS[rows]),
    )
    assert (scope.allowed is not None) == (filtering and size >= 100)
    assert (scope.size, scope.images) == (size, 3)
    everything = whole.search(QUERIES, COUNT)
    found, wanted = scope.candidates(QUERIES, 30, None), only(everything, rows)
    count = max(1, min(30, size))
    assert found.ids.shape == (7, count)
    assert found.ids.tolist() == wanted.ids[:, :count].tolist()
    assert found.distances.tolist() == wanted.distances[:, :count].tolist()
    radius = float(everything.distances[0, 200])
    near = scope.candidates(QUERIES, 30, radius)
    for q, (ids, distances) in enumerate(zip(wanted.ids, wanted.distances, strict=True)):
        inside = (ids >= 0) & (distances <= radius)
        missing = near.ids.shape[1] - inside.sum()
        assert near.ids[q].tolist() == ids[inside].tolist() + [-1] * missing


def test_all_rows_are_searched_by_any_engine() -> None:
    engine: Engine = Unfiltering(exact(QUANTIZERS["binary"], VECTORS))
    assert whole_scope(engine, COUNT).candidates(QUERIES, 2000, None).ids.shape == (7, COUNT)
