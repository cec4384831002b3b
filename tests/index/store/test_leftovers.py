import os
from pathlib import Path

import pytest

from dqh.errors import StoreError
from dqh.index.store import Writer, check, compact, open_index, remove
from dqh.index.store.leftovers import leftovers, remove_leftovers, unlisted
from dqh.index.store.place import read_manifest
from dqh.intent import announce
from dqh.sealed import seal
from tests.index.store.conftest import EDITIONS, HEADER, add, content, encoded, expected


def names(path: Path, version: int | None) -> list[str]:
    return leftovers(path, None if version is None else read_manifest(path, version))


def tree(path: Path) -> dict[str, bytes | None]:
    """All that lies below a folder, files with their content."""
    return {
        str(each.relative_to(path)): each.read_bytes() if each.is_file() else None for each in sorted(path.rglob("*"))
    }


def test_what_an_older_version_and_a_note_list(index: Path) -> None:
    """Files go before the manifest or note that lists them; what is named like ours and listed by neither stays."""
    older = (index / "v2.json").read_bytes()
    with Writer(index) as writer:
        writer.compact()
    (index / "v2.json").write_bytes(older)  # as if the writer had been stopped before it removed files
    old = index / "segments" / "000000001-000001"
    old.mkdir()
    for place in (old / "codes.npy", old / "notes.txt", index / "deleted" / "2.bitmap", index / "deleted" / "1.bitmap"):
        place.write_text("a part")
    announce(index, ["segments/000000004-000000/codes.npy", ".v4.json.new"])
    (index / "segments" / "000000004-000000").mkdir()
    (index / "segments" / "000000004-000000" / "codes.npy").touch()
    (index / ".v5.json.new").touch()
    assert names(index, 3) == [
        "segments/000000001-000001/codes.npy",
        "deleted/2.bitmap",
        "segments/000000004-000000/codes.npy",
        "segments/000000001-000001",
        "segments/000000004-000000",
        "v2.json",
        ".intent-1.json",
    ]
    remove_leftovers(index, read_manifest(index, 3))
    assert names(index, 3) == []
    alien = [".v5.json.new", "deleted/1.bitmap", "segments/000000001-000001/notes.txt"]
    assert unlisted(index, read_manifest(index, 3)) == alien
    assert list(check(index).unchecked) == alien
    assert content(index) == expected(EDITIONS)


def test_what_others_put_beside_an_index_stays_and_is_told_once(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Among it what has the name of the next version, its bitmap and its segments, which get other names then."""
    aliens = {
        name: name.encode()
        for name in (
            "README",
            "cache/thesis.txt",
            "deleted/3.bitmap",
            "segments/000000004-000000/codes.npy",
            "segments/photos/a.jpg",
            ".skipped.csv.backup",
            ".v5.json.new",
        )
    }
    for name, text in aliens.items():
        (index / name).parent.mkdir(parents=True, exist_ok=True)
        (index / name).write_bytes(text)
    with Writer(index, segment_rows=2) as writer:
        add(writer, [30, 31])
        assert writer.commit() == 4
        writer.delete([0])
        assert writer.commit() == 6
        writer.compact()
    remove(index, where="id = 1")
    compact(index)
    assert open_index(index).search(encoded([2]), k=1, pool=5).hits[0][0].id == 2
    kept = tree(index)
    assert {name: kept[name] for name in aliens} == aliens
    told = [record for record in caplog.records if "left as it is" in record.getMessage()]
    assert len(told) == 3  # one a writer
    assert ".skipped.csv.backup, .v5.json.new, README, cache/thesis.txt, deleted/3.bitmap and 2 more" in caplog.text
    assert set(check(index).unchecked) == set(aliens)


def test_a_note_of_anything_but_an_index_is_not_ours(index: Path) -> None:
    """A note proves that it was written, not by whom: a writer of an index announces nothing but its own names."""
    (index / "thesis.txt").write_text("mine")
    creates = {"format_version": 1, "creates": ["deleted/9.bitmap", "thesis.txt"]}
    (index / ".intent-1.json").write_bytes(seal(creates))
    before = tree(index)
    Writer(index).close()
    assert tree(index) == before
    assert check(index).unchecked == (".intent-1.json", "thesis.txt")


@pytest.mark.parametrize("name", ["cache", "deleted", "segments", "segments/000000001-000001", "LOCK", "v2.json"])
def test_links_inside_an_index_are_refused(index: Path, tmp_path: Path, name: str) -> None:
    """By every reader and writer, which do nothing behind the link; the index itself may be reached by one."""
    (index / "cache").mkdir()
    (index / "cache" / "thesis.txt").write_text("mine")
    (index / name).rename(tmp_path / "elsewhere")
    (index / name).symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path)
    uses = [
        lambda: Writer(index, HEADER),
        lambda: remove(index, where="id = 0"),
        lambda: remove(index, paths=["nothing"]),
        lambda: compact(index),
    ]
    readers = [lambda: open_index(index, engine="binary_ivf")]
    for use in uses + (readers if name != "LOCK" else []):
        with pytest.raises(StoreError, match=rf"{name}, which is a symbolic link; .*cp -rL"):
            use()
        assert tree(tmp_path) == before
    if name != "LOCK":
        assert "symbolic link" in check(index).problems[0].what
    (index / name).unlink()
    (tmp_path / "elsewhere").rename(index / name)
    (tmp_path / "there").symlink_to(index)
    assert content(tmp_path / "there") == expected(EDITIONS)
    assert remove(tmp_path / "there", where="id = 0") == (0,)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_files_of_an_index_are_regular(index: Path, tmp_path: Path, kind: str) -> None:
    """Each in turn is replaced by a pipe, which would block, or by a link to itself elsewhere."""
    files = [path for path in sorted(index.rglob("*")) if path.is_file() and path.name not in ("LOCK", "v2.json")]
    assert len(files) == 18
    for file in files:
        file.rename(tmp_path / "elsewhere")
        if kind == "pipe":
            os.mkfifo(file)
        else:
            file.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="cp -rL" if kind == "link" else "a named pipe where a regular file"):
            open_index(index)
        (problem,) = check(index).problems
        assert problem.file == str(file.relative_to(index))
        file.unlink()
        (tmp_path / "elsewhere").rename(file)
    assert check(index).problems == ()


def test_the_next_writer_removes_what_a_first_commit_left(tmp_path: Path) -> None:
    announce(tmp_path, ["quantizer.safetensors", "segments/000000001-000000/codes.npy"])
    (tmp_path / "segments" / "000000001-000000").mkdir(parents=True)
    for name in ("quantizer.safetensors", "segments/000000001-000000/codes.npy", "LOCK"):
        (tmp_path / name).write_bytes(b"" if name == "LOCK" else b"a part")
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0])
        assert writer.commit() == 1
    found = check(tmp_path)
    assert found.problems == found.leftovers == found.unchecked == ()
