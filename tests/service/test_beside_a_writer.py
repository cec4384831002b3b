"""Questions of many threads while an index is written: each answer is of one version, and of no old one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dqh.collection import index_images
from dqh.data.images import Limits
from dqh.index.store import Row, Writer, open_index
from dqh.service import fields
from dqh.service.image_workers import ImageWorkers
from dqh.service.newest import Newest
from dqh.service.questions import Questions
from dqh.service.settings import Settings
from dqh.service.stored_images import StoredImages
from tests.collection.seer import photos
from tests.service.conftest import opened

VERSIONS, CLIENTS = 12, 6


@pytest.mark.slow
def test_no_mixture_of_versions(artifact: Path, tmp_path: Path) -> None:
    """Each version gives all rows but the first four a label of its own, adds two, and deletes the one before last."""
    index_images(artifact, [photos(tmp_path / "photos")], tmp_path / "index", device="cpu")
    version = open_index(tmp_path / "index").version
    codes, features = version.codes(np.arange(1)), version.read_features(np.arange(1)).astype(np.float32)
    parts = opened(tmp_path / "index", detector=None)
    newest = Newest(parts.index, parts.open)
    workers = ImageWorkers(1, pixels=10**6, seconds=10)
    images = StoredImages(workers, limits=Limits(), kept_bytes=0)
    questions = Questions(newest, workers, images, Settings())
    holds: dict[int, dict[int, str]] = {1: {}}
    committed: list[tuple[int, float]] = [(1, 0.0)]
    done = threading.Event()

    def ask(seed: int) -> list[tuple[float, fields.Found]]:
        answers = []
        while not done.is_set():
            began = time.monotonic()
            answers.append((began, questions.search(fields.SearchAsked(id=seed % 4, k=100, where="id > 3"), None)))
        return answers

    with ThreadPoolExecutor(CLIENTS) as threads, Writer(tmp_path / "index") as writer:
        asking = [threads.submit(ask, seed) for seed in range(CLIENTS)]
        paths: dict[int, str] = {}
        for number in range(2, VERSIONS + 2):
            rows = [Row(path, (f"v{number}",), None, bytes([number])) for path in paths.values()]
            if rows:
                writer.replace(rows, codes.repeat(len(rows), 0), features.repeat(len(rows), 0))
            new = [Row(f"{number}/{place}", (f"v{number}",), None, bytes([number, place])) for place in range(2)]
            added = writer.add(new, codes.repeat(2, 0), features.repeat(2, 0)).tolist()
            paths |= dict(zip(added, (row.path for row in new), strict=True))
            if len(paths) > 2:
                gone = sorted(paths)[-3]
                writer.delete([gone])
                del paths[gone]
            holds[number] = dict.fromkeys(paths, f"v{number}")
            assert writer.commit() == number
            committed.append((number, time.monotonic()))
        while newest.current().number < VERSIONS + 1:
            time.sleep(0.01)
        done.set()
        answers = [answer for own in asking for answer in own.result(30)]
    newest.close()
    workers.close()
    assert len(answers) >= CLIENTS
    for began, answer in answers:
        assert {hit.id: hit.labels[0] for hit in answer.hits} == holds[answer.version]
        assert answer.version >= max(number for number, when in committed if when <= began) - 1
    assert {answer.version for _, answer in answers} & set(range(2, VERSIONS + 2))
