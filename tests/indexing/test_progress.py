"""What is told of a long run."""

from pathlib import Path

import numpy as np
import pytest

from dqh.indexing import Photos
from dqh.indexing.progress import Progress, WatchedStore
from dqh.inputs import InputSpec
from tests.indexing.conftest import png


def test_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    """100 images in 4 s are not told; 200 in 10 s are 20 a second, and 800 more take 40 s."""
    times = iter([0.0, 4.0, 10.0])
    progress = Progress("indexed", 1000, clock=lambda: next(times))
    with caplog.at_level("INFO"):
        progress.advance(100)
        progress.advance(100)
    assert caplog.messages == ["indexed 200 of 1,000 images, 20 images/s, 40 s left"]


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
