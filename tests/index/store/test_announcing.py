import os
from pathlib import Path

import pytest

from dqh.errors import StoreError
from dqh.index.store.announcing import Announcements, announced
from dqh.index.store.schema import SEGMENT_FILES
from dqh.intent import announce


def test_one_note_serves_many_segments(tmp_path: Path) -> None:
    """16 segments in the first note, 32 in the second, 64 in the third: 3 notes for 49 segments."""
    announcements = Announcements(tmp_path, 0)
    assert announced(tmp_path) == {}
    names = [announcements.segment() for _ in range(16)]
    assert names == [f"000000001-{number:06d}" for number in range(16)]
    (note,) = announced(tmp_path)
    assert announcements.begin() == tmp_path / note
    assert announced(tmp_path)[note] == {
        "quantizer.safetensors",
        "deleted/1.bitmap",
        "tags/1.parquet",
        ".v1.json.new",
        ".encoder.json.new",
        ".skipped.csv.new",
        ".failed.csv.new",
        ".shard.json.new",
        *(f"segments/{segment}/{name}" for segment in names for name in SEGMENT_FILES),
    }
    names += [announcements.segment() for _ in range(33)]
    assert len(set(names)) == 49
    assert [len(each) for each in announced(tmp_path).values()] == [8 + 16 * 4, 32 * 4, 64 * 4]


def test_names_that_are_taken_are_avoided(tmp_path: Path) -> None:
    """A bitmap and a link in the way of versions 4 and 5; a segment that is there, whatever it is."""
    (tmp_path / "deleted").mkdir()
    (tmp_path / "deleted" / "4.bitmap").touch()
    (tmp_path / ".v5.json.new").symlink_to("nowhere")
    (tmp_path / "segments").mkdir()
    os.mkfifo(tmp_path / "segments" / "000000006-000001")
    announcements = Announcements(tmp_path, 3)
    assert announcements.version == 6
    assert [announcements.segment() for _ in range(2)] == ["000000006-000000", "000000006-000002"]


def test_what_appears_in_between_is_refused(tmp_path: Path) -> None:
    announcements = Announcements(tmp_path, 3)
    (tmp_path / ".v4.json.new").touch()
    with pytest.raises(FileExistsError, match="not ours"):
        announcements.begin()
    assert announced(tmp_path) == {}


def test_no_version_beyond_the_last(tmp_path: Path) -> None:
    assert Announcements(tmp_path, 999_999_998).version == 999_999_999
    with pytest.raises(StoreError, match="none beyond 999999999 can follow"):
        Announcements(tmp_path, 999_999_999).begin()


@pytest.mark.parametrize(
    "name", ["thesis.txt", "segments/a/codes.npy", "segments/000000001-000000/", "deleted/", "v1.json", "LOCK"]
)
def test_notes_of_other_things_are_not_ours(tmp_path: Path, name: str) -> None:
    announce(tmp_path, ["quantizer.safetensors"])
    announce(tmp_path, [".v1.json.new", name])
    assert list(announced(tmp_path)) == [".intent-1.json"]
