from pathlib import Path

from dqh.index.store import Writer
from dqh.index.store.leftovers import leftovers, remove_leftovers
from dqh.index.store.manifest import read_manifest
from tests.index.store.conftest import EDITIONS, content, expected


def names(path: Path, version: int | None) -> list[str]:
    manifest = None if version is None else read_manifest(path, version)
    return [str(each.relative_to(path)) for each in leftovers(path, manifest)]


def test_what_belongs_to_no_version(index: Path) -> None:
    """Manifests come first, so that nobody opens an older version without its files; strangers stay."""
    for name in ("v1.json", ".v3.json.new", "deleted/1.bitmap", "cache/hnsw-v1-ab.faiss", "cache/hnsw-v2-ab.faiss"):
        (index / name).parent.mkdir(exist_ok=True)
        (index / name).touch()
    old = index / "segments" / "000000001-000007"
    old.mkdir()
    (old / "codes.npy").touch()
    (old / "notes.txt").touch()
    (index / "segments" / "photos").mkdir()
    (index / "README").touch()
    assert names(index, 2) == [
        "v1.json",
        ".v3.json.new",
        "deleted/1.bitmap",
        "cache/hnsw-v1-ab.faiss",
        "segments/000000001-000007/codes.npy",
        "segments/000000001-000007",
    ]
    remove_leftovers(index, read_manifest(index, 2))
    assert names(index, 2) == ["segments/000000001-000007"]
    assert (old / "notes.txt").exists()
    assert (index / "README").exists()
    assert content(index) == expected(EDITIONS)


def test_without_a_version_all_that_an_index_has_goes(index: Path) -> None:
    (index / "v2.json").unlink()
    remove_leftovers(index, None)
    assert sorted(path.name for path in index.rglob("*")) == ["LOCK", "deleted", "segments"]


def test_the_next_writer_removes_them(index: Path) -> None:
    (index / ".v3.json.new").touch()
    (index / "segments" / "000000003-000000").mkdir()
    with Writer(index):
        assert names(index, 2) == []
