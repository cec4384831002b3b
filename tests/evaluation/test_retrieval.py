import json
from typing import Any

import numpy as np
import pytest
import torch

from dqh.codes import hamming
from dqh.evaluation import conventions
from dqh.evaluation.conventions import CONVENTIONS
from dqh.evaluation.retrieval import Retrieval, Side, neighbours, require_rows, retrieve
from dqh.index.orders import hamming as hamming_module
from dqh.index.ways import WAYS, ways_of
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from dqh.ranking import buckets

BITS, FEATURES, CLASSES = 20, 6, 4
QUANTIZER = Threshold(BITS)
PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).integers(-2, 3, (3, 4, 2)).astype(np.float32))
SEARCHES = tuple(way.name for way in ways_of(QUANTIZER))
METRICS = ("mAP@all", "mAP@1000", "P@1", "P@10", "P@100", "recall@100")
TIMES = ("query_ms", "qps")


def side(count: int, *, seed: int, multiple: bool = False) -> Side:
    """Embeddings and features around the centres of classes."""
    fixed, generator = np.random.default_rng(99), np.random.default_rng(seed)
    centres, means = fixed.random((CLASSES, BITS)) < 0.5, fixed.standard_normal((CLASSES, FEATURES))
    labels = generator.integers(0, CLASSES, count)
    flipped = centres[labels] ^ (generator.random((count, BITS)) < 0.2)
    embedding = np.where(flipped, 0.9, 0.1).astype(np.float32)
    features = (means[labels] + generator.standard_normal((count, FEATURES))).astype(np.float32)
    known = np.eye(CLASSES, dtype=bool)[labels] | (generator.random((count, CLASSES)) < 0.1) if multiple else labels
    return Side(QUANTIZER.encode(embedding), embedding, features, known)


def product_side(count: int, *, seed: int) -> Side:
    """Small whole numbers in six dimensions, so that distances are exact; queries off the codewords."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, count)
    embedding = generator.integers(-3, 4, (count, 6)).astype(np.float32)
    features = generator.integers(0, 3, (count, FEATURES)).astype(np.float32)
    return Side(PRODUCT.encode(embedding), embedding, features, labels)


def permuted(database: Side, seed: int = 0) -> Side:
    order = np.random.default_rng(seed).permutation(len(database.codes))
    return Side(*(values[order] for values in database))


def metrics(
    query: Side, database: Side, *, device: str = "cpu", quantizer: Quantizer = QUANTIZER, **settings: Any
) -> list[dict]:
    retrieval = Retrieval(timed_queries=0, **settings)
    found = retrieve(query, database, quantizer=quantizer, retrieval=retrieval, device=device)
    return [*found.rows, found.curves]


@pytest.mark.parametrize("convention", ["default", "hashnet"])
@pytest.mark.parametrize("kind", ["single", "multiple", "product"])
def test_the_gpu_code_gives_the_numbers_of_numpy(kind: str, convention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows and curves, bit for bit, with ties in plenty and cutoffs inside them."""
    if kind == "product":
        sides, quantizer = (product_side(7, seed=0), product_side(90, seed=1)), PRODUCT
    else:
        sides = tuple(side(count, seed=count, multiple=kind == "multiple") for count in (7, 90))
        quantizer = QUANTIZER
    settings = {"quantizer": quantizer, "convention": convention, "pool": 20, "map_cutoffs": (None, 7, 50)}
    wanted = metrics(*sides, **settings)
    for module in (buckets, hamming_module):
        monkeypatch.setattr(module, "in_numpy", lambda values: False)
    assert metrics(*sides, **settings) == wanted


def reference_map(keys: np.ndarray, relevant: np.ndarray) -> float:
    """mAP over all ranks by loops, equal keys in the order of the database."""
    scores = []
    for row, own in zip(keys, relevant, strict=True):
        hits = np.flatnonzero(own[np.argsort(row, kind="stable")])
        scores.append((np.arange(1, len(hits) + 1) / (hits + 1)).mean() if len(hits) else 0.0)
    return float(np.mean(scores))


def expected_map(keys: np.ndarray, relevant: np.ndarray) -> float:
    """mAP over all ranks, the mean over tie orders by the expected precision at each rank of a bucket, by loops."""
    scores = []
    for row, own in zip(keys, relevant, strict=True):
        before = hits = 0
        score = 0.0
        for value in np.unique(row):
            n, r = int((row == value).sum()), int(own[row == value].sum())
            for place in range(1, n + 1):
                # a relevant item is at this place with r / n; of the others before it (r - 1) / (n - 1) are relevant
                others = (place - 1) * (r - 1) / (n - 1) if n > 1 else 0
                score += r / n * (hits + 1 + others) / (before + place)
            before, hits = before + n, hits + r
        scores.append(score / hits if hits else 0.0)
    return float(np.mean(scores))


def test_rows_and_curves(device: str) -> None:
    query, database = side(15, seed=0), side(300, seed=1)
    found = retrieve(query, database, quantizer=QUANTIZER, retrieval=Retrieval(pool=40), device=device)
    assert [row["search"] for row in found.rows] == list(SEARCHES) == list(found.curves)
    for row in found.rows:
        own = ("precision@r2", "recall@r2", "average_precision@r2") if row["search"] == "binary" else ()
        assert set(row) == {"search", *METRICS, *TIMES, "bytes_per_item", "candidates", *own}
        assert all(row[name] > 0 for name in (*METRICS, *TIMES))
    assert [row["bytes_per_item"] for row in found.rows] == [3, 24, 27]
    assert [row["candidates"] for row in found.rows][:2] == [300, 300]
    assert 40 <= found.rows[2]["candidates"] < 300
    for curve in found.curves.values():
        assert set(curve) == {"precision_at_k", "precision_recall"}
        assert curve["precision_at_k"]["k"] == [1, 2, 5, 10, 20, 50, 100, 150, 200, 250, 300]
    json.dumps(found[:2], allow_nan=False)


def test_rows_equal_loops_in_database_order(device: str) -> None:
    query, database = side(12, seed=2), side(150, seed=3)
    codes = hamming(query.codes, database.codes)
    fine = ((query.features[:, None].astype(np.float64) - database.features) ** 2).sum(2)
    radius = 4
    relevant = query.labels[:, None] == database.labels
    rows = metrics(query, database, device=device, radius=radius, convention="dlbhc", within=(0, 5))[:3]
    wanted = [codes, fine, np.where(codes <= radius, fine, 1e6 + codes)]
    for row, keys in zip(rows, wanted, strict=True):
        assert row["mAP@all"] == pytest.approx(reference_map(keys, relevant), abs=1e-12)
    assert rows[2]["candidates"] == pytest.approx((codes <= radius).sum(1).mean())
    for bits in (0, 5):
        inside = codes <= bits
        share = (inside & relevant).sum(1) / np.maximum(inside.sum(1), 1)
        assert rows[0][f"precision@r{bits}"] == pytest.approx(share.mean(), abs=1e-12)
        share = (inside & relevant).sum(1) / np.maximum(relevant.sum(1), 1)
        assert rows[0][f"recall@r{bits}"] == pytest.approx(share.mean(), abs=1e-12)
        assert 0 <= rows[0][f"average_precision@r{bits}"] <= 1
    assert "precision@r2" not in rows[0]


def product_distances(query: Side, database: Side) -> dict[str, np.ndarray]:
    """Of each search but coarse-to-fine, pair by pair; cosines of whole numbers as cos² with its sign, exactly tied."""
    decoded, quantized = PRODUCT.decode(database.codes), PRODUCT.decode(query.codes)
    pairs = {
        "aqd": (query.embedding, decoded),
        "sqd": (quantized, decoded),
        "embedding": (query.embedding, database.embedding),
        "exhaustive": (query.features, database.features),
    }
    names = {
        "aqd": ("l2", "ip", "cosine"),
        "sqd": ("l2", "ip"),
        "embedding": ("l2", "ip", "cosine"),
        "exhaustive": ("",),
    }
    found = {}
    for kind, (queries, items) in pairs.items():
        for distance in names[kind]:
            keys = np.empty((len(queries), len(items)))
            for q, one in enumerate(queries.astype(np.float64)):
                for i, other in enumerate(items.astype(np.float64)):
                    squares, product = (one @ one) * (other @ other), one @ other
                    cosine = np.round(np.sign(product) * product**2 / squares, 9) if squares else 0.0
                    keys[q, i] = {"ip": -product, "cosine": -cosine}.get(distance, ((one - other) ** 2).sum())
            found[f"{kind}_{distance}".rstrip("_")] = keys
    return found


@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("convention", ["default", "dlbhc"])
def test_rows_of_product_codes_equal_loops(convention: str, distance: str, device: str) -> None:
    """Every row in database order; by expectation as the mean of many orders would be, in closed form per tie."""
    query, database = product_side(12, seed=20), product_side(150, seed=21)
    relevant = query.labels[:, None] == database.labels
    keys = product_distances(query, database)
    quantizer, main = ProductQuantizer.from_codebooks(PRODUCT.codebooks, distance=distance), keys[f"aqd_{distance}"]
    inside = main <= np.sort(main, axis=1)[:, 39:40]
    keys["coarse_to_fine"] = np.where(inside, keys["exhaustive"], 1e6 + main)
    rows = metrics(query, database, device=device, quantizer=quantizer, pool=40, convention=convention)[:-1]
    assert [row["search"] for row in rows] == [way.name for way in ways_of(quantizer)]
    expected = reference_map if convention == "dlbhc" else expected_map
    for row in rows:
        own = keys[row["search"]]
        if row["search"].endswith("cosine"):
            # two directions of one cosine may round apart: only equal codes are ties for certain
            assert row["mAP@all"] == pytest.approx(expected(own, relevant), abs=2e-2)
        else:
            assert row["mAP@all"] == pytest.approx(expected(own, relevant), abs=1e-12)
    assert rows[-1]["candidates"] == pytest.approx(inside.sum(1).mean())


def test_bytes_and_names_of_product_rows() -> None:
    query, database = product_side(5, seed=22), product_side(50, seed=23)
    found = retrieve(query, database, quantizer=PRODUCT, retrieval=Retrieval(pool=10, answers=5, timed_queries=2))
    rows = {row["search"]: row for row in found.rows}
    assert list(rows) == list(found.curves) == list(found.average_precision) == [way.name for way in ways_of(PRODUCT)]
    # 3 × 2 bits in a byte; 6 float32 numbers of an embedding, 6 of the features
    assert [row["bytes_per_item"] for row in found.rows] == [1, 1, 1, 1, 24, 24, 24, 24, 25]
    assert all(row["query_ms"] > 0 and row["qps"] > 0 for row in found.rows)
    assert not [name for row in found.rows for name in row if name.startswith("precision@r")]
    json.dumps(found[:2], allow_nan=False)


def test_a_radius_in_bits_is_refused_for_product_codes() -> None:
    with pytest.raises(ValueError, match=r"radius is in bits, by which these .* got 2; give a pool"):
        metrics(product_side(3, seed=0), product_side(9, seed=1), quantizer=PRODUCT, radius=2)


def test_order_of_a_product_database_does_not_matter() -> None:
    query, database = product_side(20, seed=24), product_side(200, seed=25)
    once = metrics(query, database, quantizer=PRODUCT, pool=30)
    assert metrics(query, database, quantizer=PRODUCT, pool=30) == once
    for one, other in zip(once[:-1], metrics(query, permuted(database), quantizer=PRODUCT, pool=30)[:-1], strict=True):
        assert one.pop("search") == other.pop("search")
        # sums of the same fractions in another grouping
        assert one == pytest.approx(other, abs=1e-12)


def test_a_pool_of_everything_is_the_exhaustive_search() -> None:
    query, database = side(10, seed=4), side(80, seed=5)
    _, exhaustive, coarse_to_fine, curves = metrics(query, database, pool=80)
    assert exhaustive | {"search": "", "bytes_per_item": 0} == coarse_to_fine | {"search": "", "bytes_per_item": 0}
    assert curves["exhaustive"] == curves["coarse_to_fine"]


@pytest.mark.parametrize("multiple", [False, True])
def test_two_runs_are_bit_identical(multiple: bool, device: str) -> None:
    query, database = side(20, seed=6, multiple=multiple), side(200, seed=7, multiple=multiple)
    once = metrics(query, database, device=device, pool=30)
    assert metrics(query, database, device=device, pool=30) == once
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
        assert metrics(query, database, device=device, pool=30) == once


@pytest.mark.parametrize("name", [name for name, rules in CONVENTIONS.items() if rules.ties != "order"])
def test_database_order_does_not_matter(name: str, device: str) -> None:
    query, database = side(20, seed=8), side(200, seed=9)
    before = metrics(query, database, device=device, pool=30, convention=name)
    after = metrics(query, permuted(database), device=device, pool=30, convention=name)
    assert before[0] == after[0]
    assert before[3]["binary"] == after[3]["binary"]
    for one, other in zip(before[1:3], after[1:3], strict=True):
        # distances may round the other way in their last bit
        assert {k: v for k, v in one.items() if k != "search"} == pytest.approx(
            {k: v for k, v in other.items() if k != "search"}, abs=1e-9
        )


def test_tie_rules_bracket_the_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {ties: conventions.Convention(ties=ties) for ties in ("best", "worst")}
    monkeypatch.setattr(conventions, "CONVENTIONS", dict(CONVENTIONS) | rules)
    query, database = side(20, seed=10), side(200, seed=11)
    worst, middle, best = (metrics(query, database, convention=name)[0] for name in ("worst", "default", "best"))
    for name in METRICS:
        assert worst[name] <= middle[name] <= best[name]
    assert worst["mAP@all"] < best["mAP@all"]


def test_a_database_smaller_than_every_cutoff() -> None:
    rows = metrics(side(3, seed=12), side(5, seed=13))
    assert "mAP@1000" in rows[0]
    assert rows[0]["mAP@1000"] == rows[0]["mAP@all"]
    assert not {"P@10", "P@100", "recall@100"} & set(rows[0])
    assert rows[2]["candidates"] == 5


def test_neighbours_are_what_the_search_finds() -> None:
    query, database = side(4, seed=14), side(100, seed=15)
    codes = hamming(query.codes, database.codes)
    fine = ((query.features[:, None] - database.features) ** 2).sum(2)
    settings = {"quantizer": QUANTIZER, "retrieval": Retrieval(pool=100), "k": 7}
    binary, exhaustive, coarse_to_fine = (neighbours(query, database, search=search, **settings) for search in SEARCHES)
    assert np.array_equal(binary.ids, np.argsort(codes, axis=1, kind="stable")[:, :7])
    assert np.array_equal(exhaustive.ids, np.argsort(fine, axis=1)[:, :7])
    assert np.array_equal(coarse_to_fine.ids, exhaustive.ids)
    ball = neighbours(
        query, database, quantizer=QUANTIZER, retrieval=Retrieval(radius=3), k=100, search="coarse_to_fine"
    )
    assert np.array_equal((ball.ids >= 0).sum(1), (codes <= 3).sum(1))


def test_settings_survive_json() -> None:
    for settings in (
        Retrieval(),
        Retrieval(
            pool=7,
            radius=3,
            map_cutoffs=(5, None),
            precision_cutoffs=(),
            recall_cutoffs=(9,),
            within=(0, 4),
            convention="hashnet",
            answers=3,
            timed_queries=0,
            baselines=("itq", "opq"),
        ),
    ):
        written = settings.to_json()
        read = Retrieval.from_json(json.loads(json.dumps(written, allow_nan=False)))
        assert (read, hash(read), read.to_json()) == (settings, hash(settings), written)
    older = Retrieval.from_json({"pool": 7})
    assert older == Retrieval(pool=7, untrained_images=None)  # versions without the field took all


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pools": 3}, "pools: no such field, wanted pool, radius, map_cutoffs, .*"),
        ({"pool": "7"}, "pool must be a whole number, got '7'"),
        ({"pool": None, "answers": 2.0}, "pool must be a whole number, got None\nanswers must be .* got 2.0"),
        ({"untrained_images": 0}, "untrained_images must be at least 1, got 0"),
        ({"timed_queries": True}, "timed_queries must be a whole number, got True"),
        ({"pool": [1]}, r"pool must be a whole number, got \[1\]"),
        ({"within": 2}, "within must be a tuple of different whole numbers of at least 0, got 2"),
        ({"within": [None]}, r"within must be .* got \(None,\)"),
        ({"recall_cutoffs": [[1], [1]]}, "recall_cutoffs must be"),
        ({"map_cutoffs": "all"}, "map_cutoffs must be .* got all"),
        ({"map_cutoffs": []}, "map_cutoffs must name at least one cutoff, null for all of the database, got none"),
        ({"convention": ["default"]}, r"convention must be one of .* got \['default'\]"),
        ({"baselines": ["itq", "itq"]}, r"baselines must be a tuple of different names out of lsh, .*'itq', 'itq'\)"),
        ({"baselines": [["itq"]]}, "baselines must be"),
        ({"baselines": "itq"}, "baselines must be .* got itq"),
        ({"new": 1, "radius": -1}, "new: no such field, .*\nradius must be at least 0, got -1"),
    ],
)
def test_json_of_other_settings(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Retrieval.from_json(values)


def test_protocol_states_every_rule() -> None:
    stated = Retrieval(pool=50, convention="dlbhc").protocol(QUANTIZER)
    assert stated["main"] == "binary"
    assert stated["relevance"] == "at least one shared label"
    assert (stated["convention"], stated["ties"]) == ("dlbhc", "order")
    assert (stated["normaliser"], stated["zero_hits"]) == ("hits", "zero")
    assert (stated["pool"], stated["radius"]) == (50, None)
    assert stated["pool_rule"] == "smallest whole Hamming ball with at least 50 items"
    product = Retrieval(pool=50).protocol(PRODUCT)
    assert product["main"] == "aqd_l2"
    assert (
        product["pool_rule"] == "smallest whole ball of asymmetric distances (AQD, squared L2) with at least 50 items"
    )
    by_radius = Retrieval(radius=2).protocol(QUANTIZER)
    assert (by_radius["pool"], by_radius["radius"]) == (None, 2)
    assert by_radius["pool_rule"] == "all items within 2 bits"
    json.dumps(stated)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool": 0}, "pool must be at least 1, got 0"),
        ({"radius": -1}, "radius must be at least 0, got -1"),
        ({"map_cutoffs": (0,)}, r"map_cutoffs must be a tuple of different .* numbers of at least 1, got \(0,\)"),
        ({"precision_cutoffs": (5, 5)}, r"precision_cutoffs must be .* different .* got \(5, 5\)"),
        ({"precision_cutoffs": [5]}, r"precision_cutoffs must be a tuple .* got \[5\]"),
        ({"within": (-1,)}, r"within must be .* at least 0, got \(-1,\)"),
        ({"within": (2, 2)}, r"within must be .* different .* got \(2, 2\)"),
        ({"convention": "dqn"}, "convention must be one of default, .* got 'dqn'"),
        ({"pool": 0, "answers": 0}, "pool must be .*\nanswers must be"),
    ],
)
def test_impossible_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Retrieval(**settings)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": np.zeros((3, 5), np.float32)}, r"shapes \(Q, F\) and \(N, F\), got \(3, 5\) and \(9, 6\)"),
        ({"features": np.zeros((2, 6), np.float32)}, "features of the query must have a row for each of its 3 codes"),
        ({"embedding": np.zeros((2, 20), np.float32)}, "embedding of the query .* got 2"),
        ({"labels": np.zeros(2, np.int64)}, "query codes and labels"),
        ({"labels": np.zeros((3, 4), bool)}, "of one kind"),
    ],
)
def test_sides_that_do_not_fit(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics(side(3, seed=0)._replace(**changed), side(9, seed=1))


def test_rows_of_both_sides_must_fit() -> None:
    query, database = side(3, seed=0), side(4, seed=1)
    require_rows(query, database._replace(embedding=query.embedding), ways_of(QUANTIZER))
    with pytest.raises(ValueError, match="embedding of the database must have a row for each of its 4 codes, got 3"):
        require_rows(query, database._replace(embedding=query.embedding), (WAYS["embedding_l2"],))
    with pytest.raises(ValueError, match=r"features of the database .* 4 codes, got 3\n.* got \(3, 6\) and \(3, 5\)"):
        require_rows(query, database._replace(features=np.zeros((3, 5), np.float32)), ())
