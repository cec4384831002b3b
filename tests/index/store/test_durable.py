import hashlib
from pathlib import Path

import pytest

from dqh.errors import StoreError
from dqh.index.store.durable import FileEntry, locked, make_folder, publish, write_new
from dqh.index.store.faults import Step, watched


def test_a_file_is_written_with_its_hash(tmp_path: Path) -> None:
    entry = write_new(tmp_path / "a", [b"one", memoryview(b"two"), b"", b"3"])
    assert (tmp_path / "a").read_bytes() == b"onetwo3"
    assert entry == FileEntry(hashlib.sha256(b"onetwo3").hexdigest(), 7)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", [b"again"])
    assert (tmp_path / "a").read_bytes() == b"onetwo3"


def test_a_file_is_caught_half_written(tmp_path: Path) -> None:
    sizes = []
    with watched(lambda step, path: sizes.append((step, path.stat().st_size))):
        write_new(tmp_path / "a", [b"abcd"])
    assert sizes == [
        (Step.FILE_OPENED, 0),
        (Step.FILE_HALF, 2),
        (Step.FILE_HALF, 4),
        (Step.FILE_WRITTEN, 4),
        (Step.FILE_SYNCED, 4),
    ]


def test_folders_are_made_and_flushed_from_above(tmp_path: Path) -> None:
    steps = []
    with watched(lambda step, path: steps.append((step, path))):
        make_folder(tmp_path / "a" / "b")
        make_folder(tmp_path / "a" / "b")
    assert steps == [
        (Step.FOLDER_MADE, tmp_path / "a"),
        (Step.FOLDER_SYNCED, tmp_path),
        (Step.FOLDER_MADE, tmp_path / "a" / "b"),
        (Step.FOLDER_SYNCED, tmp_path / "a"),
    ]


def test_publishing_never_replaces(tmp_path: Path) -> None:
    publish(tmp_path / "v1.json", b"first")
    with pytest.raises(StoreError, match="exists already: another writer was at work"):
        publish(tmp_path / "v1.json", b"second")
    assert (tmp_path / "v1.json").read_bytes() == b"first"


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "LOCK"),
        pytest.raises(StoreError, match="is being written by another process"),
        locked(tmp_path / "LOCK"),
    ):
        pass
    with locked(tmp_path / "LOCK"):
        assert [path.name for path in tmp_path.iterdir()] == ["LOCK"]
    assert (tmp_path / "LOCK").read_bytes() == b""
