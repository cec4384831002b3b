from pathlib import Path

import numpy as np
import pytest

from dqh.data.images import Limits
from dqh.errors import BadImageError
from dqh.index.store import open_index
from dqh.index.store.rows import StoredRow
from dqh.service.refusals import RequestError
from dqh.service.stored_images import StoredImages
from tests.collection.seer import photo


class Workers:
    """Pictures of 100 bytes, and how many were made."""

    def __init__(self) -> None:
        self.made = self.measured = 0

    def picture(self, content: bytes, *, side: int) -> bytes:
        self.made += 1
        return bytes(100)

    def size(self, content: bytes) -> tuple[int, int]:
        self.measured += 1
        return 48, 40


@pytest.fixture
def stored(indexed: Path) -> tuple[list[StoredRow], str]:
    version = open_index(indexed).version
    return [row for row in version.rows(np.arange(len(version))) if row.box is None], version.manifest.root


def images(kept_bytes: int = 250) -> tuple[StoredImages, Workers]:
    workers = Workers()
    return StoredImages(workers, limits=Limits(), kept_bytes=kept_bytes), workers  # type: ignore[arg-type]


def test_pictures_are_kept_until_others_need_their_room(stored: tuple) -> None:
    """Two pictures fit; the one that was asked for longest ago goes."""
    (first, second, third, _), root = stored
    own, workers = images()
    for row in (first, second, first, third, first):
        own.picture(row, root, side=9)
    assert (workers.made, own.hits, own.misses, own.bytes) == (3, 2, 3, 200)
    own.picture(second, root, side=9)
    assert workers.made == 4


def test_sides_are_pictures_of_their_own(stored: tuple) -> None:
    own, workers = images()
    own.picture(stored[0][0], stored[1], side=9)
    own.picture(stored[0][0], stored[1], side=10)
    assert workers.made == 2


def test_nothing_is_kept_where_there_is_no_room(stored: tuple) -> None:
    own, _ = images(kept_bytes=0)
    own.picture(stored[0][0], stored[1], side=9)
    assert own.bytes == 0


def test_sizes_are_asked_once(stored: tuple) -> None:
    own, workers = images()
    assert own.size(stored[0][0], stored[1]) == own.size(stored[0][0], stored[1]) == (48, 40)
    assert workers.measured == 1


def test_what_was_indexed_is_served_and_nothing_else(tmp_path: Path) -> None:
    """A file that was changed, one that is gone, and a link in its place to something else."""
    from dqh.data.source import content_hash

    file = photo(tmp_path / "1.png", 3)
    row = StoredRow(7, "1.png", (), None, content_hash(file.read_bytes()))
    own, _ = images()
    assert own.content(row, str(tmp_path)) == file.read_bytes()
    photo(file, 4)
    with pytest.raises(RequestError, match="item 7 has changed since it was indexed") as changed:
        own.content(row, str(tmp_path))
    assert changed.value.status == 404
    file.unlink()
    with pytest.raises(RequestError, match="item 7 cannot be read any more") as gone:
        own.content(row, str(tmp_path))
    assert str(tmp_path) not in str(gone.value)
    (tmp_path / "secret").write_text("secret")
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(RequestError, match="has changed"):
        own.content(row, str(tmp_path))
    assert own.size(row, str(tmp_path)) is None


def test_an_image_that_no_worker_can_use_has_no_size(stored: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    own, workers = images()

    def fails(content: bytes) -> tuple[int, int]:
        raise BadImageError("damaged")

    monkeypatch.setattr(workers, "size", fails)
    assert own.size(stored[0][0], stored[1]) is None
