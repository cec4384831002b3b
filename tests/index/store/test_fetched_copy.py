"""An index fetched from a store: as a writer would have left it, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from dqh import remote
from dqh.errors import NoStoreError, StoreError
from dqh.index.store import Writer, check, open_index
from dqh.index.store.faults import Step, watched
from dqh.index.store.fetched_copy import fetch_copy
from dqh.index.store.published_copy import publish_copy
from dqh.locks import locked_file
from tests.index.store.conftest import add
from tests.index.store.test_published_copy import grown, index, own_files
from tests.stores import stored

__all__ = ["index", "stored"]


@pytest.fixture
def published(index: Path, stored: str) -> str:
    publish_copy(index, stored)
    return stored


class StoppedError(Exception):
    pass


def test_what_is_fetched_is_the_index(index: Path, published: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "fetched"
    copied = fetch_copy(published, out)
    assert copied.files == len(own_files(index))
    assert own_files(out) == own_files(index)
    assert sorted(path.name for path in out.iterdir()) == [
        *("LOCK", "deleted", "quantizer.safetensors", "segments", "v2.json"),
    ]
    assert check(out).problems == check(out).unchecked == check(out).leftovers == ()
    assert fetch_copy(published, out) == (2, 3, 0, 0, copied.files)
    with Writer(out) as writer:
        assert add(writer, [9]).tolist() == [3]
        assert writer.commit() == 3


def test_a_later_version_takes_the_place_of_an_older_one(index: Path, published: str, tmp_path: Path) -> None:
    """Who has the old one open keeps it; its own files go."""
    out = tmp_path / "fetched"
    fetch_copy(published, out)
    before = open_index(out)
    grown(index, [7, 8])
    publish_copy(index, published)
    copied = fetch_copy(published, out)
    assert (copied.version, copied.files, copied.kept) == (3, 6, 9)
    assert own_files(out) == own_files(index)
    assert not (out / "v2.json").exists()
    assert not (out / "deleted" / "2.bitmap").exists()
    assert before.version.read_features(np.arange(3)).shape == (3, 6)
    assert check(out).unchecked == ()


@pytest.mark.parametrize("older", [False, True])
def test_a_fetch_that_is_stopped_anywhere_leaves_a_whole_version_and_goes_on(
    older: bool, index: Path, published: str, tmp_path: Path
) -> None:
    """Stopped at each step in turn, in a folder that goes on from what the one before left."""
    out = tmp_path / "fetched"
    if older:
        fetch_copy(published, out)
        grown(index, [7, 8])
        publish_copy(index, published)
    steps = 0
    while True:
        left = iter(range(steps))

        def stop(step: Step, path: Path, left=left) -> None:
            if next(left, None) is None:
                raise StoppedError

        try:
            with watched(stop):
                fetch_copy(published, out)
            break
        except StoppedError:
            versions = sorted(int(file.stem[1:]) for file in out.glob("v*.json"))
            assert versions in ([[2], [2, 3], [3]] if older else [[], [2]])
            if versions:
                assert check(out).problems == ()
        steps += 1
    assert steps > 10
    assert own_files(out) == own_files(index)
    assert (check(out).leftovers, check(out).unchecked) == ((), ())


def test_what_came_whole_is_not_fetched_again(
    published: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, pieces = tmp_path / "fetched", remote.pieces
    asked: list[str] = []

    def third_fails(url: str):
        asked.append(url)
        if len(asked) == 3:
            yield next(pieces(url))[:5]
            raise OSError(5, "no answer", url)
        yield from pieces(url)

    monkeypatch.setattr(remote, "pieces", third_fails)
    with pytest.raises(StoreError, match=f"^{published}/.*: no answer; look at the name"):
        fetch_copy(published, out)
    assert not list(out.glob("v*"))
    copied = fetch_copy(published, out)
    assert (copied.kept, copied.files) == (2, len(own_files(index)) - 2)
    assert len(set(asked)) == len(own_files(index)) - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "codes.npy is missing; publish the index again: dqh publish INDEX [^ ]*$"),
        (b"short", "codes.npy does not match its hash; publish the index again: dqh publish INDEX .* --check$"),
        (b"long" * 1000, "codes.npy does not match its hash"),
    ],
)
def test_a_file_that_is_damaged_in_the_store(
    content: bytes | None, message: str, published: str, tmp_path: Path
) -> None:
    url = f"{published}/segments/000000001-000000/codes.npy"
    remote.remove(url) if content is None else remote.put_bytes(content, url)
    with pytest.raises(StoreError, match=message):
        fetch_copy(published, tmp_path / "fetched")
    assert not list((tmp_path / "fetched").glob("v*"))
    with pytest.raises(NoStoreError, match="no index at"):
        open_index(tmp_path / "fetched")


def test_places_that_are_taken(index: Path, published: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "own.txt").write_text("own")
    with pytest.raises(NoStoreError, match=r"is no index and holds 'own.txt'; name an empty folder"):
        fetch_copy(published, tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["own.txt"]
    (tmp_path / "letter.txt").write_text("letter")
    for place in ("letter.txt", "letter.txt/below"):
        with pytest.raises(NoStoreError, match=r"letter\.txt is a file; name a folder$"):
            fetch_copy(published, tmp_path / place)
    assert (tmp_path / "letter.txt").read_text() == "letter"
    other = grown(grown(tmp_path / "other", [5]), [6])
    with pytest.raises(StoreError, match=f"{other} holds another index than {published}"):
        fetch_copy(published, other)
    grown(other, [7])
    with pytest.raises(StoreError, match=f"{other} has version 3 of an index, which is newer than version 2 of"):
        fetch_copy(published, other)
    assert check(other).problems == ()
    out = tmp_path / "locked"
    out.mkdir()
    with locked_file(out / "LOCK", error=StoreError), pytest.raises(StoreError, match="is being written by another"):
        fetch_copy(published, out)
    with pytest.raises(NoStoreError, match="is a URL, wanted a path of this machine"):
        fetch_copy(published, "s3://bucket/here")


def test_a_file_that_somebody_changed_stays_and_one_that_is_missing_comes(
    index: Path, published: str, tmp_path: Path
) -> None:
    out = tmp_path / "fetched"
    fetch_copy(published, out)
    codes = out / "segments" / "000000001-000000" / "codes.npy"
    content = codes.read_bytes()
    codes.write_bytes(b"other")
    with pytest.raises(StoreError, match=r"codes.npy' with another content, and no note says"):
        fetch_copy(published, out)
    assert codes.read_bytes() == b"other"
    codes.unlink()
    assert fetch_copy(published, out).files == 1
    assert codes.read_bytes() == content
