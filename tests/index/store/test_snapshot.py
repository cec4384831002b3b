import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.codes import hamming
from dqh.encoded import Encoded
from dqh.errors import MismatchError, NoStoreError, StoreError, WhereError
from dqh.index.engines import ENGINES, fitting
from dqh.index.store import Header, Hit, Row, Writer, check, compact, info, open_index, remove
from dqh.index.store.version import Version
from dqh.index.ways import main_way
from dqh.index.ways.hamming import Hamming
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold
from tests.index.store.conftest import (
    EDITIONS,
    ENCODER,
    HEADER,
    add,
    content,
    descriptors,
    encoded,
    expected,
    flip,
    payload,
)

COUNT, BITS, FEATURES = 300, 12, 4


def collection(path: Path, quantizer: Quantizer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids 0 … 299 but those that 7 divides; label of id mod 4; all rows replaced. Codes, features, embedding."""
    rng = np.random.default_rng(2)
    embedding = rng.random((COUNT, BITS), np.float32)
    features = rng.integers(-8, 8, (COUNT, FEATURES)).astype(np.float32)  # distances are exact whole numbers, with ties
    codes = quantizer.encode(embedding)
    rows = [Row(f"{number}.jpg", (str(number % 4),)) for number in range(COUNT)]
    with Writer(path, Header(ENCODER, quantizer, FEATURES), segment_rows=64) as writer:
        writer.add(rows, codes[::-1].copy(), features[::-1].copy())
        writer.commit()
        second = [number for number in range(COUNT) if number % 3 == 0]
        first = [number for number in range(COUNT) if number % 3]
        for part in (second, first):
            writer.replace([rows[number] for number in part], codes[part], features[part])
            writer.commit()
        writer.delete([number for number in range(COUNT) if number % 7 == 0])
        writer.commit()
    return codes, features, embedding


def query(quantizer: Quantizer, count: int = 6) -> Encoded:
    rng = np.random.default_rng(3)
    embedding = rng.random((count, BITS), np.float32)
    features = rng.integers(-8, 8, (count, FEATURES)).astype(np.float32)
    return Encoded(quantizer.encode(embedding), embedding, features, ENCODER)


def by_hand(
    quantizer: Quantizer,
    database: tuple[np.ndarray, np.ndarray, np.ndarray],
    wanted: Encoded,
    q: int,
    *,
    chosen: list[int],
    k: int,
    pool: int | None = None,
    radius: float | None = None,
) -> list[tuple[int, float, float]]:
    """(id, code distance, squared L2) by sorting everything."""
    codes, features, _ = database
    if isinstance(quantizer, Threshold):
        coarse = hamming(wanted.codes[q : q + 1], codes)[0].astype(float)
    else:
        coarse = np.square(quantizer.decode(codes).astype(np.float64) - wanted.embedding[q]).sum(axis=1)
    near = sorted(chosen, key=lambda number: (coarse[number], number))
    near = [number for number in near if coarse[number] <= radius] if radius is not None else near[:pool]
    fine = np.square(features.astype(np.float64) - wanted.features[q]).sum(axis=1)
    best = sorted(near, key=lambda number: (fine[number], number))[:k]
    return [(number, float(coarse[number]), float(fine[number])) for number in best]


@pytest.fixture(scope="module", params=["binary", "pq"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    books = np.random.default_rng(4).random((4, 8, 3)).astype(np.float32)
    quantizer = Threshold(BITS) if request.param == "binary" else ProductQuantizer.from_codebooks(books)
    path = tmp_path_factory.mktemp(request.param) / "index"
    return path, quantizer, collection(path, quantizer)


LIVE = [number for number in range(COUNT) if number % 7]


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ({"pool": 40}, LIVE),
        ({}, LIVE),
        ({"radius": 1.0}, LIVE),
        ({"radius": 3.0}, LIVE),
        ({"pool": 20, "where": "label = '1'"}, [number for number in LIVE if number % 4 == 1]),
        ({"radius": 3, "where": "id < 50"}, [number for number in LIVE if number < 50]),
        ({"where": "id in (1, 2)"}, [1, 2]),
        ({"where": "label = 'none'"}, []),
        ({"radius": 0.0, "where": "label = 'none'"}, []),
    ],
)
def test_the_answers_are_those_of_sorting_everything(case: tuple[Any, ...], arguments: dict, chosen: list[int]) -> None:
    path, quantizer, database = case
    wanted = query(quantizer)
    found = open_index(path).search(wanted, k=5, **arguments)
    limits = {"radius": arguments.get("radius"), "pool": arguments.get("pool", 1000)}
    for q in range(len(wanted.codes)):
        truth = by_hand(quantizer, database, wanted, q, chosen=chosen, k=5, **limits)
        assert found.ranking.ids[q].tolist() == [number for number, _, _ in truth] + [-1] * (5 - len(truth))
        # asymmetric distances are summed in float32 from tables
        assert found.code_distances[q, : len(truth)] == pytest.approx([coarse for _, coarse, _ in truth], rel=1e-5)
        assert found.ranking.distances[q].tolist() == [fine for _, _, fine in truth] + [np.inf] * (5 - len(truth))
        everything = by_hand(quantizer, database, wanted, q, chosen=chosen, k=COUNT, **limits)
        assert found.candidates[q] == len(everything)
        assert found.hits[q] == tuple(
            Hit(number, f"{number}.jpg", (str(number % 4),), None, float(coarse), float(fine))
            for number, coarse, fine in zip(
                found.ranking.ids[q].tolist(), found.code_distances[q], found.ranking.distances[q], strict=True
            )
            if number >= 0
        )
    assert found.engine == fitting(quantizer, main_way(quantizer))[0]


def test_candidates_are_the_nearest_by_code(case: tuple[Any, ...]) -> None:
    path, quantizer, database = case
    wanted = query(quantizer)
    found = open_index(path).candidates(wanted, pool=40, where="label = '1'")
    chosen = [number for number in LIVE if number % 4 == 1]
    assert (found.images, found.rows, found.of_images) == (None, len(chosen), 0)
    for q in range(len(wanted.codes)):
        near = by_hand(quantizer, database, wanted, q, chosen=chosen, k=COUNT, pool=40)
        truth = sorted((coarse, number) for number, coarse, _ in near)
        assert sorted(found.ranking.ids[q].tolist()) == sorted(number for _, number in truth)
        assert sorted(found.ranking.distances[q].tolist()) == pytest.approx([coarse for coarse, _ in truth], rel=1e-5)
    with pytest.raises(ValueError, match="pool must be"):
        open_index(path).candidates(wanted, pool=0)


@pytest.mark.parametrize("arguments", [{}, {"radius": 2.0}, {"where": "label = '1'"}, {"where": "label = 'none'"}])
def test_codes_alone_rank_without_reading_features(
    case: tuple[Any, ...], arguments: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, quantizer, database = case
    wanted = query(quantizer)
    chosen = {"label = '1'": [number for number in LIVE if number % 4 == 1], "label = 'none'": []}
    monkeypatch.setattr(Version, "read_features", None)
    monkeypatch.setattr(Version, "squared_l2", None)
    found = open_index(path).search(wanted, k=5, rank="codes", **arguments)
    assert found.rank == "codes"
    for q in range(len(wanted.codes)):
        near = by_hand(
            quantizer,
            database,
            wanted,
            q,
            chosen=chosen.get(arguments.get("where", ""), LIVE),
            k=COUNT,
            radius=arguments.get("radius"),
        )
        truth = sorted((coarse, number) for number, coarse, _ in near)[:5]
        missing = 5 - len(truth)
        assert found.ranking.ids[q].tolist() == [number for _, number in truth] + [-1] * missing
        wanted_distances = [coarse for coarse, _ in truth] + [np.inf] * missing
        assert found.ranking.distances[q] == pytest.approx(wanted_distances, rel=1e-5)  # summed in float32 from tables
        assert found.code_distances[q].tolist() == found.ranking.distances[q].tolist()
        assert [hit.id for hit in found.hits[q]] == [number for _, number in truth]


def test_what_does_not_go_with_a_rank_is_refused(case: tuple[Any, ...]) -> None:
    path, quantizer, _ = case
    with pytest.raises(ValueError, match="rank must be one of codes, fine, got 'both'"):
        open_index(path).search(query(quantizer), rank="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pool is of rank fine"):
        open_index(path).search(query(quantizer), rank="codes", pool=20)


def test_the_rule_is_said(case: tuple[Any, ...]) -> None:
    path, quantizer, _ = case
    snapshot, wanted = open_index(path), query(quantizer)
    assert snapshot.search(wanted).rule == "the 1000 nearest by code, equal distances cut by id"
    assert snapshot.search(wanted, k=1200).rule.startswith("the 1200 nearest")
    assert snapshot.search(wanted, radius=2).rule == "all within 2 by code"


def test_stages_take_their_time(case: tuple[Any, ...]) -> None:
    path, quantizer, _ = case
    snapshot, wanted = open_index(path), query(quantizer)
    assert min(snapshot.search(wanted, where="id > 3").seconds) > 0
    assert snapshot.search(wanted).seconds.filter == 0


def test_a_filter_is_kept_and_a_filtered_search_is_exact(
    case: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, quantizer, _ = case
    exact, *others = fitting(quantizer, main_way(quantizer))
    approximate = next(name for name in others if not ENGINES[name].exact)
    snapshot, wanted = open_index(path, engine=approximate, cache=False), query(quantizer)
    assert snapshot.search(wanted).engine == approximate
    assert snapshot.search(wanted, radius=2).engine == exact
    first = snapshot.search(wanted, where="id > 3")
    assert first.engine == exact
    monkeypatch.setattr("dqh.index.store.snapshot.matching", lambda *_: pytest.fail("chosen again"))
    again = snapshot.search(wanted, where="id > 3")
    assert np.array_equal(first.ranking.ids, again.ranking.ids)
    monkeypatch.undo()
    for number in range(10):
        snapshot.search(wanted, where=f"id > {number}")
    assert len(snapshot._filters) == 4


def test_queries_in_parts_and_none(case: tuple[Any, ...]) -> None:
    path, quantizer, _ = case
    snapshot, many = open_index(path), query(quantizer, 70)
    found = snapshot.search(many, k=3, pool=20)
    for q in (0, 31, 32, 69):
        one = Encoded(*(values[q : q + 1] for values in many[:3]), ENCODER)
        alone = snapshot.search(one, k=3, pool=20)
        assert alone.hits[0] == found.hits[q]
    nobody = snapshot.search(Encoded(*(values[:0] for values in many[:3]), ENCODER), k=3)
    assert nobody.hits == ()
    assert nobody.ranking.ids.shape == nobody.code_distances.shape == (0, 3)


def test_each_image_finds_itself_at_distance_0(index: Path) -> None:
    """Also where the query has more digits than what is stored."""
    snapshot = open_index(index)
    for number, edition in EDITIONS.items():
        exact = encoded([number], edition)
        finer = exact._replace(features=exact.features.astype(np.float32) * np.float32(1 + 2e-5))
        (hit, *_), *_ = snapshot.search(finer, k=2).hits
        assert (hit.id, hit.path, hit.distance) == (number, f"{number}\udcff.jpg", 0)
        assert hit.labels == (f"class {number % 3}", f"edition {edition}")


def test_a_snapshot_stays_as_it_is(index: Path) -> None:
    snapshot = open_index(index)
    before = snapshot.search(encoded([8]), k=23)
    with Writer(index) as writer:
        add(writer, [50])
        writer.delete([8])
        writer.commit()
        writer.compact()
    after = snapshot.search(encoded([8]), k=23)
    assert before.hits == after.hits
    assert 8 not in [hit.id for hit in open_index(index).search(encoded([8]), k=23).hits[0]]
    assert len(snapshot) == 23


def test_an_empty_index_answers_nothing(tmp_path: Path) -> None:
    with Writer(tmp_path, Header(ENCODER, Threshold(BITS), 6)) as writer:
        writer.commit()
    for arguments in ({}, {"radius": 3}, {"where": "id = 1"}):
        found = open_index(tmp_path).search(encoded([1, 2]), **arguments)
        assert found.hits == ((), ())
        assert (found.ranking.ids == -1).all()


def test_damaged_features_are_never_compared(index: Path) -> None:
    """Row 12 is the fifth of the second segment: a search among others does not see it, one with it is refused."""
    file = index / "segments" / "000000001-000001" / "features.npy"
    flip(file, file.stat().st_size - (16 - 12) * 12 + 3)
    snapshot = open_index(index)
    assert snapshot.search(encoded([1]), where="id != 12").candidates.tolist() == [22]
    with pytest.raises(StoreError, match=r"features.npy is damaged in 1 of 8 rows read, first row 4"):
        snapshot.search(encoded([1]))


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({"encoder_id": "another"}, {}, MismatchError, f"made with encoder {ENCODER}, the queries with another; use"),
        ({}, {"k": 0}, ValueError, "k must be a whole number from 1 to 1,048,576, got 0"),
        ({}, {"k": 2**40}, ValueError, "k must be a whole number from 1 to 1,048,576, got 1,099,511,627,776"),
        ({}, {"k": 2.5}, TypeError, "k must be a whole number from 1 to 1,048,576, got 2.5"),
        ({}, {"k": "10"}, TypeError, "k must be a whole number from 1 to 1,048,576, got '10'"),
        ({}, {"k": True}, TypeError, "k must be a whole number from 1 to 1,048,576, got True"),
        ({}, {"k": 1, "pool": 2**40}, ValueError, "pool must be a whole number from 1 to 1,048,576, got 1,099,511"),
        ({}, {"k": 5, "pool": 4}, ValueError, "pool must be at least k, got pool=4 and k=5"),
        ({}, {"pool": 9, "radius": 1}, ValueError, "give pool or radius, got pool=9 and radius=1"),
        ({}, {"radius": -1}, ValueError, "radius must be at least 0, got -1"),
        ({}, {"radius": float("nan")}, ValueError, "radius must be at least 0, got nan"),
        ({}, {"where": "lable = 'x'"}, WhereError, "unknown column lable"),
        ({"embedding": np.zeros((2, 3), np.float32)}, {}, ValueError, r"must have shapes \(Q, 12\) and \(Q, 6\)"),
        ({"features": np.zeros((1, 6), np.float32)}, {}, ValueError, r"got \(2, 12\) and \(1, 6\)"),
        ({"features": np.full((2, 6), 1e6, np.float32)}, {}, ValueError, "must be finite"),
    ],
)
def test_what_is_refused(index: Path, change: dict, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_index(index).search(encoded([1, 2])._replace(**change), **arguments)


def test_opening(
    index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.INFO):
        assert open_index(str(index)).engine == "hamming"
    assert "version 2: 23 rows, searched by hamming" in caplog.text
    with pytest.raises(NoStoreError, match="no index at"):
        open_index(tmp_path / "none")
    with pytest.raises(
        ValueError, match=r"engine must be auto or one of hamming, hamming_cuda, binary_ivf, .*got 'aqd'"
    ):
        open_index(index, engine="aqd")
    monkeypatch.setattr(Hamming, "most_rows", 5)
    devices = {"cpu": "binary_ivf", "cuda": "hamming_cuda"}
    assert {device: open_index(index, device=device).engine for device in devices} == devices
    assert {device: open_index(index, device=device)._exact for device in devices} == devices | {"cpu": "hamming"}
    assert len(content(index)) == len(payload(list(EDITIONS)).rows)


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_product_quantized_codes_are_searched_by_their_own_distance(tmp_path: Path, distance: str) -> None:
    values = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
    books = np.random.default_rng(1).standard_normal((2, 4, 3)).astype(np.float32)
    quantizer = ProductQuantizer.from_codebooks(books, distance=distance)
    codes, rows = quantizer.encode(values), [Row(f"{n}.jpg", (), None, bytes([n])) for n in range(30)]
    with Writer(tmp_path / "index", Header(ENCODER, quantizer, 6)) as writer:
        writer.add(rows, codes, values.astype(np.float16))
        writer.commit()
    own, asked = (open_index(tmp_path / "index", **more) for more in ({}, {"way": f"aqd_{distance}"}))
    query = Encoded(codes[:3], values[:3], values[:3], ENCODER)
    found, wanted = (snapshot.search(query, k=5, pool=7) for snapshot in (own, asked))
    assert np.array_equal(found.code_distances, wanted.code_distances)
    assert (found.code_distances < 0).any() == (distance == "ip")
    assert check(tmp_path / "index").problems == ()


def test_more_segments_than_open_files(tmp_path: Path) -> None:
    """Forty commits of one row, and everything one does with an index, where ten files may be open."""
    with descriptors(10):
        with Writer(tmp_path, HEADER) as writer:
            for number in range(40):
                add(writer, [number])
                assert writer.commit() == number + 1
        snapshot = open_index(tmp_path, engine="binary_hnsw")
        assert [hits[0].id for hits in snapshot.search(encoded([3, 31]), k=2).hits] == [3, 31]
        assert check(tmp_path).problems == ()
        assert remove(tmp_path, where="id < 3") == (0, 1, 2)
        assert (info(tmp_path).segments, compact(tmp_path), info(tmp_path).segments) == (40, 42, 1)
        assert content(tmp_path) == expected(dict.fromkeys(range(3, 40), 0))
        assert [hits[0].id for hits in snapshot.search(encoded([0, 31]), k=2).hits] == [0, 31]  # its files are gone


IMAGES, OBJECTS = 60, 240
"""Of the index below: image n has id n, object n is of image n² mod 60, so that some images have many."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """An index of images and objects; codes and features of its rows."""
    path, rng = tmp_path_factory.mktemp("seen"), np.random.default_rng(5)
    rows = [Row(f"{number}.jpg", (str(number % 4),)) for number in range(IMAGES)]
    for number in range(OBJECTS):
        image = number**2 % IMAGES
        box = (0, 0, number + 1, 1)
        rows.append(Row(f"{image}.jpg", (str(image % 4),), box, b"", ("cat", "dog")[number % 2], number / OBJECTS))
    codes = Threshold(BITS).encode(rng.random((len(rows), BITS), np.float32))
    features = rng.integers(-8, 8, (len(rows), FEATURES)).astype(np.float32)
    with Writer(path, Header(ENCODER, Threshold(BITS), FEATURES, detector_id="seer"), segment_rows=64) as writer:
        writer.add(rows, codes, features)
        writer.commit()
    return path, codes, features


@pytest.mark.parametrize("rank", ["fine", "codes"])
@pytest.mark.parametrize(
    ("k", "arguments"), [(5, {}), (16, {}), (5, {"pool": 8}), (5, {"where": "object = 'cat' and score < .69"})]
)
def test_objects_answer_one_an_image(
    seen: tuple[Path, np.ndarray, np.ndarray], k: int, arguments: dict[str, Any], rank: Any
) -> None:
    """k images, by sorting all objects; there are 12 or so; a pool of eight objects holds too few and is doubled."""
    path, codes, features = seen
    wanted = query(Threshold(BITS))
    if rank == "codes":
        arguments = {name: value for name, value in arguments.items() if name != "pool"}
    found = open_index(path).search(wanted, k=k, among="objects", rank=rank, **arguments)
    objects = [number for number in range(OBJECTS) if "where" not in arguments or (number % 2 == 0 and number < 166)]
    for q in range(len(wanted.codes)):
        coarse = hamming(wanted.codes[q : q + 1], codes)[0].astype(float)
        fine = np.square(features.astype(np.float64) - wanted.features[q]).sum(axis=1)
        near = sorted(objects, key=lambda number: (coarse[IMAGES + number], number))
        pool = arguments.get("pool", k if rank == "codes" else 1000)
        while len({number**2 % IMAGES for number in near[:pool]}) < min(k, len({n**2 % IMAGES for n in objects})):
            pool *= 2
        by = coarse if rank == "codes" else fine
        best: dict[int, int] = {}
        for number in sorted(near[:pool], key=lambda number: (by[IMAGES + number], number)):
            best.setdefault(number**2 % IMAGES, number)
        truth = list(best.values())[:k]
        assert [hit.id - IMAGES for hit in found.hits[q]] == truth
        assert [hit.distance for hit in found.hits[q]] == [by[IMAGES + number] for number in truth]
        assert [(hit.path, hit.object) for hit in found.hits[q]] == [
            (f"{number**2 % IMAGES}.jpg", ("cat", "dog")[number % 2]) for number in truth
        ]
        assert len(truth) == min(k, len(best))
    assert found.engine == "hamming"
    assert found.rule.endswith(", more where these are of too few images")


def test_candidates_among_objects_may_be_several_of_an_image(seen: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, codes, _ = seen
    wanted = query(Threshold(BITS))
    cats = range(0, OBJECTS, 2)
    found = open_index(path).candidates(wanted, pool=9, among="objects", where="object = 'cat'")
    assert (found.rows, found.of_images) == (len(cats), len({number**2 % IMAGES for number in cats}))
    assert found.images is not None
    for q in range(len(wanted.codes)):
        coarse = hamming(wanted.codes[q : q + 1], codes)[0]
        near = sorted(cats, key=lambda number: (coarse[IMAGES + number], number))[:9]
        assert sorted((found.ranking.ids[q] - IMAGES).tolist()) == sorted(near)
        images = [number**2 % IMAGES for number in (found.ranking.ids[q] - IMAGES).tolist()]
        own = found.images[q].tolist()
        assert [own.index(one) for one in own] == [images.index(one) for one in images]


def test_whole_images_answer_as_in_an_index_without_objects(
    seen: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    path, codes, features = seen
    with Writer(tmp_path / "plain", Header(ENCODER, Threshold(BITS), FEATURES)) as writer:
        rows = [Row(f"{number}.jpg", (str(number % 4),)) for number in range(IMAGES)]
        writer.add(rows, codes[:IMAGES], features[:IMAGES])
        writer.commit()
    wanted, snapshot, plain = query(Threshold(BITS)), open_index(path), open_index(tmp_path / "plain")
    for arguments in ({}, {"where": "label = '1'"}, {"radius": 3.0}, {"rank": "codes"}):
        found = snapshot.search(wanted, k=12, among="images", **arguments)  # type: ignore[arg-type]
        assert found.hits == plain.search(wanted, k=12, **arguments).hits  # type: ignore[arg-type]
        assert found.hits == plain.search(wanted, k=12, among="images", **arguments).hits  # type: ignore[arg-type]
    everything = snapshot.search(wanted, k=300, pool=300)
    assert all(len(hits) == 300 for hits in everything.hits)


def test_nothing_among_the_objects(seen: tuple[Path, np.ndarray, np.ndarray], case: tuple[Any, ...]) -> None:
    wanted = query(Threshold(BITS))
    found = open_index(seen[0]).search(wanted, k=3, among="objects", where="object = 'bird'")
    assert (found.hits, found.candidates.tolist()) == (((),) * 6, [0] * 6)
    path, quantizer, _ = case
    with pytest.raises(ValueError, match=r"has no objects, it was made without a detector; put the .* --out NEW"):
        open_index(path).search(query(quantizer), among="objects")
    with pytest.raises(ValueError, match="among must be one of images, objects, or None for all rows, got 'dots'"):
        open_index(path).search(query(quantizer), among="dots")  # type: ignore[arg-type]
