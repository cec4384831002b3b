"""The artifact and the photos of the tests of the collection, and an index of five photos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dqh.artifact import golden_files, save_artifact
from tests.artifact.conftest import images, make
from tests.collection.conftest import artifact
from tests.data.conftest import folder

__all__ = ["artifact", "folder"]


@pytest.fixture
def index(artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> Path:
    assert dqh("index", artifact, folder(5), "--out", tmp_path / "index", "--device", "cpu")[0] == 0
    return tmp_path / "index"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """An artifact with golden files, as a training leaves it."""
    artifact = make()
    save_artifact(artifact, tmp_path / "artifact", golden=golden_files(artifact, images()))
    return tmp_path / "artifact"
