"""What is told of a long run."""

from pathlib import Path

import numpy as np

from dqh.collection.watched_store import WatchedStore
from dqh.data import Photos
from dqh.inputs import InputSpec
from dqh.progress import Progress
from tests.data.conftest import png


def test_a_store_counts_bad_images_too(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number) if number else b"")

    done: list[int] = []

    class Counted(Progress):
        def advance(self, images: int) -> None:
            done.append(images)

    store = WatchedStore(Photos([tmp_path]), InputSpec(8, 8))
    store.progress = Counted("read", 3)
    batches = list(store.batches([np.array([0, 1]), np.array([2])]))
    assert [len(batch.rows) for batch in batches] == [1, 1]
    assert done == [2, 1]
