"""Folders in stores of fsspec: in memory, and on this machine's disk by its URL, which other processes see too."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest


@pytest.fixture(params=["memory", "file"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a folder that is not there yet."""
    if request.param == "file":
        yield f"file://{tmp_path}/store"
        return
    url = "memory://bucket/store"
    yield url
    memory = fsspec.filesystem("memory")
    if memory.exists("/bucket"):
        memory.rm("/bucket", recursive=True)
