"""Where features are kept, and which images are taken."""

from pathlib import Path

import numpy as np
import pytest

from dqh.encoding import encoded_rows
from dqh.encoding.encoded_rows import portions, require_images
from dqh.inputs import InputSpec


def test_the_temporary_file_is_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    room = encoded_rows.room(3, 4)
    room[:] = 1
    assert list(tmp_path.iterdir()) == []


def test_portions_are_of_one_size_but_for_the_last() -> None:
    assert [part.tolist() for part in portions(np.array([5, 3, 9]), 2)] == [[5, 3], [9]]
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        portions(np.array([5]), 0)


@pytest.mark.parametrize(
    ("kind", "images"),
    [
        ("image", np.zeros((2, 3, 4, 4), np.float32)),
        ("image", np.zeros((2, 4, 4, 3), np.uint8)),
        ("vector", np.zeros((2, 5), np.float32)),
        ("vector", np.zeros((2, 4), np.float64)),
    ],
)
def test_other_images_than_enter_the_network_are_refused(kind: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images must be"):
        require_images(images, InputSpec(size=4, resize=4, kind=kind))
