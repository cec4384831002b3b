import faiss
import numpy as np
import pytest

from dqh.index import engines
from dqh.index.engines import ENGINES, FaissEngine, fitting
from dqh.index.engines.engine import BuiltEngine, Engine, ExactEngine
from dqh.index.store.checking import recall_at
from dqh.index.ways import way_by_codes
from dqh.index.ways.aqd import AQD
from dqh.index.ways.hamming import Hamming
from dqh.quantizers import ClassIndex, OptimizedProductQuantizer, ProductQuantizer, Quantizer, Threshold
from dqh.ranking import Ranking

COUNT, DIMENSION = 3000, 16
VECTORS = np.random.default_rng(0).standard_normal((COUNT, DIMENSION)).astype(np.float32)
QUERIES = np.random.default_rng(1).standard_normal((20, DIMENSION)).astype(np.float32)


def build(name: str, quantizer: Quantizer, codes: np.ndarray, *, way: str | None = None) -> Engine:
    return engines.build(name, quantizer, way_by_codes(quantizer, way), codes)


def exact_engine(quantizer: Quantizer, codes: np.ndarray, *, way: str | None = None) -> ExactEngine:
    return way_by_codes(quantizer, way).index(quantizer, codes)


def names(quantizer: Quantizer, *, way: str | None = None) -> tuple[str, ...]:
    return fitting(quantizer, way_by_codes(quantizer, way))


def choose(quantizer: Quantizer, rows: int, *, way: str | None = None) -> str:
    return engines.choose(quantizer, way_by_codes(quantizer, way), rows)


@pytest.fixture(scope="module")
def quantizers() -> dict[str, Quantizer]:
    turned = OptimizedProductQuantizer(4, 16, seed=0).fit(VECTORS[:1000])
    return {
        "binary": Threshold(DIMENSION, threshold=0.0),
        "pq": ProductQuantizer(4, 16, seed=0).fit(VECTORS[:1000]),
        "rotated": ProductQuantizer.from_codebooks(turned.codebooks, rotation=turned.rotation),
    }


APPROXIMATE = [("binary", "binary_ivf"), ("binary", "binary_hnsw")]
APPROXIMATE += [(kind, name) for kind in ("pq", "rotated") for name in ("ivfpq", "hnsw")]


@pytest.mark.parametrize(("kind", "name"), APPROXIMATE)
def test_an_approximate_engine_finds_most(quantizers: dict[str, Quantizer], kind: str, name: str) -> None:
    """Its distances are those of the exact engine, in order, equal ones by row."""
    quantizer = quantizers[kind]
    codes = quantizer.encode(VECTORS)
    exact, engine = exact_engine(quantizer, codes), build(name, quantizer, codes)
    assert isinstance(engine, FaissEngine)
    assert engine.index.ntotal == COUNT
    found, everything = engine.search(QUERIES, 50), exact.search(QUERIES, COUNT)
    for q in range(len(QUERIES)):
        true = dict(zip(everything.ids[q].tolist(), everything.distances[q].tolist(), strict=True))
        # float32 sums in another order
        assert found.distances[q].tolist() == pytest.approx([true[row] for row in found.ids[q].tolist()], rel=1e-4)
        assert sorted(zip(found.distances[q], found.ids[q], strict=True)) == list(
            zip(found.distances[q], found.ids[q], strict=True)
        )
    # independent Gaussians are the hardest case there is for lists
    assert recall_at(engine, exact, QUERIES, 10) > (0.95 if "hnsw" in name else 0.5)


@pytest.mark.parametrize(("kind", "name"), APPROXIMATE)
def test_a_few_items(quantizers: dict[str, Quantizer], kind: str, name: str) -> None:
    quantizer = quantizers[kind]
    codes = quantizer.encode(VECTORS[:3])
    found = build(name, quantizer, codes).search(QUERIES, 5)
    assert found.ids.shape == found.distances.shape == (20, 5)
    assert ((found.ids == -1) == np.isinf(found.distances)).all()
    assert (found.ids[:, 3:] == -1).all()
    assert (np.sort(found.ids[:, :3]) == np.arange(3)).all()
    with pytest.raises(ValueError, match=f"engine {name} needs at least one item; search an empty index by"):
        build(name, quantizer, codes[:0])


def test_inner_products_are_distances_too(quantizers: dict[str, Quantizer]) -> None:
    codes = quantizers["rotated"].encode(VECTORS)
    engine = build("ivfpq", quantizers["rotated"], codes, way="aqd_ip")
    assert isinstance(engine, FaissEngine)
    faiss.extract_index_ivf(engine.index).nprobe = COUNT
    exact = exact_engine(quantizers["rotated"], codes, way="aqd_ip")
    assert recall_at(engine, exact, QUERIES, 20) == 1
    assert engine.search(QUERIES, 20).distances == pytest.approx(exact.search(QUERIES, 20).distances, rel=1e-4)


def test_which_engines_fit(quantizers: dict[str, Quantizer]) -> None:
    assert (
        names(quantizers["binary"])
        == names(ClassIndex(5))
        == (
            "hamming",
            "hamming_cuda",
            "binary_ivf",
            "binary_hnsw",
        )
    )
    assert names(quantizers["pq"]) == ("aqd", "aqd_cuda", "ivfpq", "hnsw")
    assert names(quantizers["pq"], way="aqd_ip") == ("aqd", "aqd_cuda", "ivfpq")
    assert names(quantizers["pq"], way="aqd_cosine") == ("aqd", "aqd_cuda")
    wide = ProductQuantizer.from_codebooks(np.zeros((1, 512, 1), np.float32))
    assert names(wide) == ("aqd", "aqd_cuda", "ivfpq")
    with pytest.raises(ValueError, match=r"engine must be one of aqd, aqd_cuda, ivfpq, hnsw for .*got 'hamming'"):
        build("hamming", quantizers["pq"], np.zeros((1, 2), np.uint8))


def test_the_size_chooses(quantizers: dict[str, Quantizer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hamming, "most_rows", 100)
    monkeypatch.setattr(AQD, "most_rows", 10)
    assert [choose(quantizers["binary"], rows) for rows in (0, 100, 101)] == ["hamming", "hamming", "binary_ivf"]
    assert [choose(quantizers["pq"], rows) for rows in (10, 11)] == ["aqd", "ivfpq"]
    assert choose(quantizers["pq"], 11, way="aqd_cosine") == "aqd"


def test_a_new_engine_is_a_class_and_its_name(
    quantizers: dict[str, Quantizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is offered and, for collections that no other suits better, chosen; exact ones come first."""

    class Few(BuiltEngine):
        name, exact, approximates, most_rows = "few", True, "hamming", 10

        def __init__(self, engine: ExactEngine) -> None:
            self.engine = engine

        @classmethod
        def build(cls, quantizer: Quantizer, codes: np.ndarray, distance: str) -> "Few":
            assert distance == "hamming"
            return cls(exact_engine(quantizer, codes))

        def search(self, embeddings: np.ndarray, k: int) -> Ranking:
            return self.engine.search(embeddings, k)

    monkeypatch.setitem(ENGINES, "few", Few)
    assert names(quantizers["binary"]) == (
        "hamming",
        "hamming_cuda",
        "few",
        "binary_ivf",
        "binary_hnsw",
    )
    assert "few" not in names(quantizers["pq"])
    assert [choose(quantizers["binary"], rows) for rows in (10, 11)] == ["few", "hamming"]
    engine = build("few", quantizers["binary"], quantizers["binary"].encode(VECTORS[:0]))
    assert isinstance(engine, Few)
    assert engine.search(QUERIES, 3).ids.shape == (20, 3)


@pytest.mark.parametrize(("kind", "name"), APPROXIMATE)
def test_what_is_saved_is_loaded(quantizers: dict[str, Quantizer], kind: str, name: str) -> None:
    quantizer = quantizers[kind]
    engine = build(name, quantizer, quantizer.encode(VECTORS))
    assert isinstance(engine, FaissEngine)
    content = np.frombuffer(engine.save(), np.uint8)
    codes = quantizer.encode(VECTORS)
    again = type(engine).load(quantizer, content, COUNT, lambda rows: codes[rows])
    for one, other in zip(again.search(QUERIES, 9), engine.search(QUERIES, 9), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(ValueError, match=f"of {COUNT} items"):
        type(engine).load(quantizer, content, COUNT + 1, lambda rows: codes[rows])
    with pytest.raises(ValueError, match="other codes"):
        type(engine).load(quantizer, content, COUNT, lambda rows: codes[rows] ^ 1)


@pytest.mark.parametrize(("kind", "name"), APPROXIMATE)
def test_a_file_that_anybody_may_have_written(quantizers: dict[str, Quantizer], kind: str, name: str) -> None:
    """Bytes changed at random: refused, or each distance is still that of the exact engine."""
    quantizer, some = quantizers[kind], VECTORS[:200]
    codes = quantizer.encode(some)
    engine, exact = build(name, quantizer, codes), exact_engine(quantizer, codes).search(QUERIES, 200)
    assert isinstance(engine, FaissEngine)
    whole, generator, refused = engine.save(), np.random.default_rng(0), 0
    for _ in range(40):
        content = np.frombuffer(whole, np.uint8).copy()
        places = generator.integers(0, min(len(content), 300) if generator.random() < 0.5 else len(content), 3)
        content[places] = generator.integers(0, 256, 3)
        try:
            found = type(engine).load(quantizer, content, 200, lambda rows: codes[rows]).search(QUERIES, 5)
        except (ValueError, RuntimeError, MemoryError):
            refused += 1
            continue
        for q in range(len(QUERIES)):
            true = dict(zip(exact.ids[q].tolist(), exact.distances[q].tolist(), strict=True))
            rows = [row for row in found.ids[q].tolist() if row >= 0]
            assert found.distances[q, : len(rows)].tolist() == pytest.approx([true[row] for row in rows], rel=1e-4)
    assert refused > 10


def test_an_index_of_other_rows_is_refused(quantizers: dict[str, Quantizer]) -> None:
    """Rows beyond the index, negative ones, and one row twice."""
    quantizer = quantizers["binary"]
    codes = quantizer.encode(VECTORS)
    for rows in (np.arange(COUNT) + 10**6, -5 - np.arange(COUNT), np.zeros(COUNT, np.int64)):
        engine = build("binary_ivf", quantizer, codes)
        assert isinstance(engine, FaissEngine)
        other = faiss.clone_binary_index(engine.index)
        other.reset()
        other.add_with_ids(codes, rows)
        content = np.frombuffer(faiss.serialize_index_binary(other).tobytes(), np.uint8)
        with pytest.raises(ValueError, match=r"rows beyond|a row twice|other codes"):
            type(engine).load(quantizer, content, COUNT, lambda rows: codes[rows])
