"""A small artifact of binary codes, and photos of colours that differ."""

from pathlib import Path

import pytest

from dqh.artifact import golden_files, save_artifact
from tests.artifact.conftest import images, make_kind
from tests.data.conftest import folder
from tests.detection.conftest import kept

__all__ = ["folder", "kept"]


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "artifact"
    save_artifact(made := make_kind("binary"), path, golden=golden_files(made, images()))
    return path
