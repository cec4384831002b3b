"""What may become an index, and what an index asks of a file system."""

import errno
from pathlib import Path

import pytest

from dqh.errors import StoreError
from dqh.index.store import Writer, check
from tests.index.store.conftest import HEADER, add, opened


@pytest.mark.parametrize(
    "name",
    [
        "cache/thesis.txt",
        "deleted/thesis.txt",
        "segments/thesis.txt",
        "quantizer.safetensors",
        "LOCK",
        ".v1.json.new",
        ".intent-1.json",
        "skipped.csv",
        "encoder.json",
        "photos/",
        "cache/photos/",
        "v1.json",
        "segments/000000001-000000/codes.npy",
        "a link",
    ],
)
def test_a_folder_of_others_is_refused(tmp_path: Path, name: str) -> None:
    """Whatever it is called: nothing is created, replaced or removed."""
    place = tmp_path / "index" / name
    place.parent.mkdir(parents=True)
    if name.endswith("/"):
        place.mkdir()
    elif name == "a link":
        place.symlink_to(tmp_path)
    else:
        place.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=f"{name.rstrip('/')}|has lost its"):
        Writer(tmp_path / "index", HEADER)
    assert sorted(tmp_path.rglob("*")) == before
    assert place.is_dir() or place.read_text() == "mine"


def test_a_file_system_without_maps_is_told_before_anything_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: bytes) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("dqh.index.store.place.pa.memory_map", refused)
    with pytest.raises(StoreError, match=r"without memory maps, .*name a folder on a local disk"):
        Writer(tmp_path / "index", HEADER)
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["LOCK"]


def test_segments_without_their_manifest_are_not_removed(index: Path) -> None:
    (index / "v2.json").unlink()
    with pytest.raises(StoreError, match=r"has lost its v<N>.json, its segments are there; copy the whole folder"):
        Writer(index, HEADER)
    assert len(list((index / "segments").iterdir())) == 4


def test_a_lost_first_version_is_told_alike_to_readers_and_writers(tmp_path: Path) -> None:
    """The notes that dqh index leaves beside it tell it from a first commit that did not end."""
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0])
        writer.commit()
    (tmp_path / "encoder.json").touch()
    (tmp_path / "v1.json").unlink()
    uses = (lambda: opened(tmp_path), lambda: Writer(tmp_path), lambda: Writer(tmp_path, HEADER))
    for use in uses:
        with pytest.raises(StoreError, match=r"has lost its v<N>.json, its segments are there; copy the whole folder"):
            use()
    assert [problem.file for problem in check(tmp_path).problems] == ["v<N>.json"]
    assert (tmp_path / "segments" / "000000001-000000" / "codes.npy").exists()
