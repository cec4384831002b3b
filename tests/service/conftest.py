"""A service over photos of colours, with a detector that sees them; asked in this process, without a socket."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from dqh.collection import index_images
from dqh.service.app import make_app
from dqh.service.gauges import Gauges
from dqh.service.served import Parts, open_parts
from dqh.service.settings import Settings
from dqh.service.shared import shared_encoder
from tests.collection.conftest import artifact
from tests.collection.seer import Seer, photo, photos

__all__ = ["artifact"]

Serve = Callable[..., TestClient]


def opened(index: Path, **more: Any) -> Parts:
    """What answers by an index, in this process."""
    how = {"detector": Seer(), "device": "cpu", "runtime": "torch"} | more
    return open_parts(index, lambda load: shared_encoder(load, seen=int), searches=int, **how)


@pytest.fixture(scope="session")
def indexed(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of four photos and their four objects, which lies beside its photos; nobody writes to it."""
    folder = tmp_path_factory.mktemp("collection")
    (folder / "tags.csv").write_text("photos/a/both.png,<b>bold</b>,.5\nphotos/b/red.png,small\n")
    index_images(
        artifact,
        [photos(folder / "photos")],
        folder / "index",
        objects=Seer(),
        tags=folder / "tags.csv",
        device="cpu",
    )
    return folder / "index"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(index, token=…)` gives a client; `parts` are arguments of `open_parts`."""
    with ExitStack() as stack:

        def start(index: Path, *, parts: dict[str, Any] | None = None, **settings: Any) -> TestClient:
            guard = make_app(opened(index, **(parts or {})), Settings(workers=1, **settings), Gauges())
            return stack.enter_context(TestClient(guard, "http://127.0.0.1:8000", raise_server_exceptions=False))

        yield start


@pytest.fixture(scope="module")
def client(indexed: Path) -> Iterator[TestClient]:
    """Of a service that tests share."""
    guard = make_app(opened(indexed), Settings(workers=1), Gauges())
    with TestClient(guard, "http://127.0.0.1:8000", raise_server_exceptions=False) as own:
        yield own


@pytest.fixture(scope="session")
def upload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A photo that the index does not have: a small red object and a large blue one."""
    file = photo(tmp_path_factory.mktemp("upload") / "query.png", 9, red=(2, 3, 12, 13), blue=(16, 4, 44, 36))
    return file.read_bytes()


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold, asked for until it does."""
    return any(holds() for _ in range(2000))
