from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.detection.detections import Detections
from dqh.encoded import Encoded
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.errors import ArtifactError, DetectorError, StoreError
from dqh.index.store import Snapshot, open_index
from dqh.index.store.found import Found
from dqh.service.shared import Asked, SharedDetector, SharedSnapshot, shared_encoder
from tests.collection.seer import Seer


def rows(snapshot: Snapshot, *chosen: int) -> Encoded:
    version, places = snapshot.version, np.array(chosen)
    codes = version.codes(places)
    return Encoded(codes, version.quantizer.preimage(codes), version.read_features(places), version.manifest.encoder_id)


def test_searches_together_are_what_each_is_alone(indexed: Path) -> None:
    """Questions of different numbers of queries, k, rank and filters, from many threads."""
    alone = open_index(indexed)
    sizes: list[int] = []
    shared = SharedSnapshot(alone.version, seen=sizes.append)
    asked: list[tuple[Encoded, dict[str, Any]]] = [
        (rows(alone, row, (row + 1) % 8), {"k": k, "rank": rank, "among": among})
        for row in range(8)
        for k in (1, 3)
        for rank in ("codes", "fine")
        for among in ("images", "objects", None)
    ]
    asked += [(rows(alone, row), {"where": "label = 'b'", "k": 2}) for row in range(4)]
    wanted = [alone.search(query, **how) for query, how in asked]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda pair: shared.search(pair[0], **pair[1]), asked * 3))
    for answer, own in zip(answers, wanted * 3, strict=True):
        assert answer.hits == own.hits
        assert np.array_equal(answer.ranking.ids, own.ranking.ids)
        assert (answer.rule, answer.rank, answer.candidates.tolist()) == (own.rule, own.rank, own.candidates.tolist())
    assert sum(sizes) == len(answers)


def test_questions_of_one_thread_are_what_each_is_alone(indexed: Path) -> None:
    """Of different k, rank and filters, one of which is wrong and spoils no other."""
    alone, sizes = open_index(indexed), list[int]()
    shared = SharedSnapshot(alone.version, seen=sizes.append)
    asked: list[tuple[Encoded, dict[str, Any]]] = [
        (rows(alone, row), {"k": k, "rank": rank, "where": where, "among": None})
        for row in range(4)
        for k, rank, where in ((1, "codes", None), (3, "fine", None), (2, "fine", "label = 'b'"))
    ]
    items = [(Asked(pool=None, radius=None, **how), query) for query, how in asked]
    answers = shared.search_all(items)
    assert sizes == [12]
    wrong = items[5][0]._replace(k=0)
    mixed = shared.search_all([*items[:5], (wrong, items[5][1]), *items[6:]])
    assert isinstance(mixed[5], ValueError)
    for own, (query, how) in enumerate(asked):
        wanted = alone.search(query, **how)
        for answer in (answers[own], *([mixed[own]] if own != 5 else [])):
            assert isinstance(answer, Found)
            assert (answer.hits, answer.rule, answer.rank) == (wanted.hits, wanted.rule, wanted.rank)


def test_a_wrong_question_is_its_own_error(indexed: Path) -> None:
    shared = SharedSnapshot(open_index(indexed).version, seen=int)
    with pytest.raises(ValueError, match="k must be a whole number from 1"):
        shared.search(rows(shared, 0), k=0)
    assert shared.search(rows(shared, 0), k=1).hits[0][0].distance == 0


def test_images_together_are_what_each_is_alone(artifact: Path) -> None:
    loaded = load_encoder(artifact, device="cpu")
    shared = shared_encoder(lambda: loaded, seen=int)
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda start: shared.encode(images[start : start + 2]), range(0, 12, 2)))
    whole = loaded.encode(images)
    assert np.array_equal(np.concatenate([part.codes for part in parts]), whole.codes)
    np.testing.assert_allclose(np.concatenate([part.features for part in parts]), whole.features, atol=1e-5)  # batches


def test_an_encoder_that_has_ended_is_loaded_again(artifact: Path) -> None:
    loads: list[LoadedEncoder] = []

    def fails(**_: object) -> Any:
        raise ArtifactError("its process ended (SIGKILL)")

    def load() -> LoadedEncoder:
        loads.append(load_encoder(artifact, device="cpu"))
        return loads[-1] if len(loads) > 1 else LoadedEncoder(artifact, loads[-1].interface, fails)

    shared = shared_encoder(load, seen=int)
    images = np.zeros((1, 3, 16, 16), np.uint8)
    with pytest.raises(ArtifactError, match="SIGKILL"):
        shared.encode(images)
    assert shared.encode(images).codes.shape == (1, 2)
    assert len(loads) == 2


def test_a_detector_that_fails_is_opened_again() -> None:
    class Failing(Seer):
        def detect(self, images: Any) -> Detections:
            raise DetectorError("its process ended")

    opened: list[Seer] = [Failing(), Seer()]
    shared = SharedDetector(lambda: opened.pop(0))
    assert (shared.classes, shared.most, shared.detector_id) == (Seer.classes, Seer.most, Seer().detector_id)
    image = np.full((9, 9, 3), (255, 0, 0), np.uint8)
    with pytest.raises(DetectorError, match="ended"):
        shared.detect([image])
    assert shared.detect([image]).valid.sum() == 1


def test_damage_is_no_wrong_answer(indexed: Path) -> None:
    """A search that finds a damaged row fails, whoever else asks in its batch."""
    shared = SharedSnapshot(open_index(indexed).version, seen=int)

    def damaged(*_: object, **__: object) -> Any:
        raise StoreError("damaged")

    shared.version.squared_l2 = damaged  # type: ignore[method-assign]
    shared.version.read_features = damaged  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="damaged"):
        shared.search(Encoded(*rows(open_index(indexed), 0)), k=1, rank="fine")
    assert shared.search(rows(open_index(indexed), 0), k=1, rank="codes").hits[0][0].id == 0
