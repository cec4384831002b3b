"""A copy of an index in a store: whole versions, what is kept, and what is never written over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqh import remote
from dqh.errors import NoStoreError, RemoteError, StoreError
from dqh.index.store import Writer, check, compact, open_index
from dqh.index.store import published_copy as module
from dqh.index.store.fetched_copy import fetch_copy
from dqh.index.store.manifest import Manifest
from dqh.index.store.part import part_of
from dqh.index.store.place import at_newest
from dqh.index.store.published_copy import newest_published, publish_copy
from dqh.index.store.splitting import split
from tests.index.store.conftest import HEADER, add, replace
from tests.stores import stored

__all__ = ["stored"]


def grown(path: Path, numbers: list[int]) -> Path:
    with Writer(path, HEADER) as writer:
        add(writer, numbers)
        writer.commit()
    return path


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two versions, two segments, one row replaced."""
    path = grown(tmp_path / "index", [0, 1, 2])
    with Writer(path) as writer:
        replace(writer, [1], 1)
        writer.commit(beside={"encoder.json": b"{}\n"})
    return path


def contents(url: str) -> dict[str, bytes]:
    return {file.removeprefix(f"{url}/"): remote.read(file, most=2**20) for file in remote.below(url)}


def own_files(path: Path) -> dict[str, bytes]:
    manifest = at_newest(path, lambda newest: newest)
    return {name: (path / name).read_bytes() for name in (manifest.name, *manifest.files())}


def test_a_copy_has_the_files_of_the_newest_version_and_no_others(index: Path, stored: str) -> None:
    copied = publish_copy(index, f"{stored}/")
    wanted = own_files(index)
    assert contents(stored) == wanted
    size = sum(map(len, wanted.values())) - len(wanted["v2.json"])
    assert copied == (2, 3, len(wanted), size, 0)
    newest = newest_published(stored)
    assert newest is not None
    assert (newest.manifest, newest.content) == (at_newest(index, lambda own: own), wanted["v2.json"])
    assert publish_copy(index, stored) == (2, 3, 0, 0, len(wanted))
    assert contents(stored) == wanted


def test_a_later_version_takes_what_is_new_alone_and_takes_nothing_away(index: Path, stored: str) -> None:
    publish_copy(index, stored)
    before = contents(stored)
    grown(index, [7, 8])
    copied = publish_copy(index, stored)
    after = contents(stored)
    assert (copied.version, copied.rows, copied.kept) == (3, 5, 9)
    assert copied.files == 6  # a segment of four, a bitmap, and the manifest
    assert before.items() <= after.items()
    assert own_files(index).items() <= after.items()
    compact(index)
    publish_copy(index, stored)
    assert after.items() <= contents(stored).items()


def test_the_manifest_comes_last_and_a_note_is_there_meanwhile(
    index: Path, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    put, put_bytes = remote.put, remote.put_bytes
    monkeypatch.setattr(remote, "put", lambda file, url: (order.append(url), put(file, url)))
    monkeypatch.setattr(remote, "put_bytes", lambda content, url: (order.append(url), put_bytes(content, url)))
    publish_copy(index, stored)
    names = [url.removeprefix(f"{stored}/") for url in order]
    assert (names[0], names[-1]) == (".publishing-v2.json", "v2.json")
    assert sorted(names[1:-1]) == sorted(set(own_files(index)) - {"v2.json"})
    assert remote.entry(f"{stored}/.publishing-v2.json") is None


def interrupted(monkeypatch: pytest.MonkeyPatch, *, after: int, partial: bool) -> Callable[[], None]:
    """Copies end after so many files, of the last of which half is there where it is `partial`."""
    put, count = remote.put, iter(range(after))

    def stopping(file: Path, url: str) -> None:
        if next(count, None) is None:
            if partial:
                content = file.read_bytes()
                remote.put_bytes(content[: len(content) // 2], url)
            raise OSError(5, "no answer", url)
        put(file, url)

    monkeypatch.setattr(remote, "put", stopping)
    return lambda: monkeypatch.setattr(remote, "put", put)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("after", [0, 1, 4, 8])
def test_a_copy_that_was_broken_off_is_none_and_goes_on(
    after: int, partial: bool, index: Path, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend = interrupted(monkeypatch, after=after, partial=partial)
    with pytest.raises(StoreError, match=f"^{stored}/.*: no answer; look at the name, the network"):
        publish_copy(index, stored)
    assert newest_published(stored) is None
    with pytest.raises(NoStoreError, match=r"no index at .*: it has no v<N>.json; put one there: dqh publish INDEX"):
        fetch_copy(stored, tmp_path / "none")
    mend()
    publish_copy(index, stored)
    assert contents(stored) == own_files(index)


def test_a_later_version_follows_one_whose_copy_was_broken_off(
    index: Path, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers get the version before until the manifest is there."""
    publish_copy(index, stored)
    grown(index, [7, 8])
    mend = interrupted(monkeypatch, after=2, partial=True)
    with pytest.raises(StoreError):
        publish_copy(index, stored)
    assert fetch_copy(stored, tmp_path / "second").version == 2
    grown(index, [9])
    mend()
    assert publish_copy(index, stored).version == 4
    assert fetch_copy(stored, tmp_path / "second").version == 4
    assert own_files(tmp_path / "second") == own_files(index)
    assert not [name for name in contents(stored) if name.startswith(".publishing")]


def test_what_a_store_knows_the_md5_of_is_not_copied_again(
    index: Path, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that alone: no manifest and no note is there. One of another MD5 is no reason to write over it."""
    monkeypatch.setattr(module, "_SMALL", 0)  # what is smaller is read
    publish_copy(index, stored)
    remote.remove(f"{stored}/v2.json")
    entries = remote.entries

    def with_tags(url: str) -> dict[str, remote.Entry]:
        own = {f"{url}/{name}": module._md5(index / name) for name in own_files(index)}
        return {name: entry._replace(md5=own.get(name)) for name, entry in entries(url).items()}

    monkeypatch.setattr(remote, "entries", with_tags)
    assert publish_copy(index, stored)[2:] == (1, 0, len(own_files(index)) - 1)


def test_a_damaged_manifest_is_removed_and_published_again(
    index: Path, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the message says: files that no MD5, manifest or note speaks for are read before they are refused."""
    monkeypatch.setattr(module, "_SMALL", 0)
    publish_copy(index, stored)
    remote.put_bytes(b"{}", f"{stored}/v2.json")
    with pytest.raises(StoreError, match=r"v2.json: .*; remove it, and publish the index again"):
        publish_copy(index, stored)
    remote.remove(f"{stored}/v2.json")
    features = f"{stored}/segments/000000001-000000/features.npy"
    own = remote.read(features, most=2**20)
    remote.put_bytes(own[:-1] + bytes([own[-1] ^ 1]), features)
    with pytest.raises(StoreError, match=r"holds 'segments/000000001-000000/features.npy', and no version or note"):
        publish_copy(index, stored)
    remote.put_bytes(own, features)
    assert publish_copy(index, stored)[2:] == (1, 0, len(own_files(index)) - 1)
    assert fetch_copy(stored, tmp_path / "second").version == 2


def test_small_files_are_read_to_be_compared(index: Path, stored: str) -> None:
    publish_copy(index, stored)
    remote.remove(f"{stored}/v2.json")
    small = [name for name, content in own_files(index).items() if len(content) <= module._SMALL and name != "v2.json"]
    assert len(small) > 5
    for name in contents(stored).keys() - set(small):
        remote.remove(f"{stored}/{name}")
    assert publish_copy(index, stored).kept == len(small)


def test_a_shard_stays_one(index: Path, stored: str, tmp_path: Path) -> None:
    shards = split(index, tmp_path / "shards", shards=2)
    for number, shard in enumerate(shards):
        url, out = f"{stored}/{number}", tmp_path / f"fetched-{number}"
        publish_copy(shard, url)
        assert contents(url) == own_files(shard) | {"shard.json": (shard / "shard.json").read_bytes()}
        assert publish_copy(shard, url).files == 0
        fetch_copy(url, out)
        assert part_of(out) == part_of(shard)
        (out / "shard.json").unlink()
        assert fetch_copy(url, out).files == 0
        assert part_of(out) == part_of(shard)
        assert check(out).leftovers == ()
    remote.put_bytes((shards[1] / "shard.json").read_bytes(), f"{stored}/0/shard.json")
    with pytest.raises(StoreError, match=r"fetched-0 is shard 0 of 2 .*/store/0 is shard 1 of 2"):
        fetch_copy(f"{stored}/0", tmp_path / "fetched-0")
    with pytest.raises(StoreError, match=r"holds 'shard.json', and no version or note"):
        publish_copy(shards[0], f"{stored}/0")
    remote.put_bytes(b"{}", f"{stored}/0/shard.json")
    with pytest.raises(StoreError, match=r"/store/0/shard.json: not the JSON that was written; remove it, and"):
        fetch_copy(f"{stored}/0", tmp_path / "new")


@pytest.mark.parametrize("name", ["quantizer.safetensors", "segments/000000001-000000/codes.npy", "deleted/2.bitmap"])
def test_what_nobody_vouches_for_is_not_written_over(name: str, index: Path, stored: str) -> None:
    remote.put_bytes(b"somebody's", f"{stored}/{name}")
    remote.put_bytes(b"other", f"{stored}/own.txt")
    with pytest.raises(StoreError, match=f"holds '{name}', and no version or note"):
        publish_copy(index, stored)
    assert contents(stored) == {name: b"somebody's", "own.txt": b"other"}
    remote.put_bytes(b"{}", f"{stored}/.publishing-v2.json")
    with pytest.raises(StoreError, match=f"holds '{name}'"):
        publish_copy(index, stored)
    remote.remove(f"{stored}/{name}")
    publish_copy(index, stored)
    kept = {"own.txt": b"other", ".publishing-v2.json": b"{}"}  # the note was none, and was written over
    assert contents(stored) == own_files(index) | {"own.txt": kept["own.txt"]}


def test_another_index_and_a_newer_version_are_refused(index: Path, stored: str, tmp_path: Path) -> None:
    publish_copy(index, stored)
    before = contents(stored)
    other = grown(tmp_path / "other", [5])
    with pytest.raises(StoreError, match=r"has version 2 of an index, which is newer than version 1 of .*other"):
        publish_copy(other, stored)
    for number in (6, 7):
        grown(other, [number])
        with pytest.raises(StoreError, match=r"holds another index than .*other, or one that went its own way"):
            publish_copy(other, stored)
    assert contents(stored) == before


def test_a_file_that_is_damaged_here_is_not_published(index: Path, stored: str) -> None:
    file = index / "segments" / "000000001-000000" / "features.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"features.npy is damaged: it does not match its hash; see dqh check"):
        publish_copy(index, stored)
    assert newest_published(stored) is None


def test_what_a_store_lost_is_put_there_again(index: Path, stored: str) -> None:
    publish_copy(index, stored)
    remote.remove(f"{stored}/quantizer.safetensors")
    remote.put_bytes(b"less", f"{stored}/segments/000000001-000000/features.npy")
    assert publish_copy(index, stored)[2] == 2
    assert contents(stored) == own_files(index)


def test_damage_in_a_store_is_found_and_mended_by_a_check(
    index: Path, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the right size, and listed there: without a check it is taken for whole."""
    monkeypatch.setattr(module, "_SMALL", 0)
    publish_copy(index, stored)
    name = "segments/000000001-000000/features.npy"
    own = own_files(index)[name]
    remote.put_bytes(own[:-1] + bytes([own[-1] ^ 1]), f"{stored}/{name}")
    assert publish_copy(index, stored).files == 0
    with pytest.raises(
        StoreError, match=f"{name} does not match its hash; publish the index again: dqh publish INDEX .* --check$"
    ):
        fetch_copy(stored, tmp_path / "fetched")
    assert publish_copy(index, stored, check=True)[2:] == (1, len(own), len(own_files(index)) - 1)
    assert contents(stored) == own_files(index)
    assert f"{stored}/{name} is not what was put there, and is put there again" in caplog.text
    assert publish_copy(index, stored, check=True).files == 0
    assert fetch_copy(stored, tmp_path / "fetched").version == 2


def test_a_check_reads_nothing_that_the_store_has_the_md5_of(
    index: Path, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL", 0)
    publish_copy(index, stored)
    entries, read = remote.entries, list[str]()
    pieces = remote.pieces

    def with_tags(url: str) -> dict[str, remote.Entry]:
        own = {f"{url}/{name}": module._md5(index / name) for name in own_files(index) if name.endswith(".npy")}
        return {name: entry._replace(md5=own.get(name)) for name, entry in entries(url).items()}

    monkeypatch.setattr(remote, "entries", with_tags)
    monkeypatch.setattr(remote, "pieces", lambda url: (read.append(url), pieces(url))[1])
    assert publish_copy(index, stored, check=True).files == 0
    wanted = {name for name in own_files(index) if not name.endswith(".npy")} - {"v2.json"}
    assert {url.removeprefix(f"{stored}/") for url in read} == wanted


def test_a_file_in_the_place_of_an_index(index: Path, stored: str, tmp_path: Path) -> None:
    remote.put_bytes(b"letter", f"{stored}/letter.txt")
    message = rf"^{stored}/letter\.txt is a file, wanted "
    with pytest.raises(NoStoreError, match=f"{message}a place for the files of an index; name another URL$"):
        publish_copy(index, f"{stored}/letter.txt")
    assert contents(stored) == {"letter.txt": b"letter"}
    folder = "the folder in which dqh publish has put an index; name that"
    with pytest.raises(NoStoreError, match=f"{message}{folder}$"):
        fetch_copy(f"{stored}/letter.txt", tmp_path / "new")
    publish_copy(index, f"{stored}/index")
    with pytest.raises(NoStoreError, match=rf"v2\.json is a file, wanted {folder}: {stored}/index$"):
        fetch_copy(f"{stored}/index/v2.json", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_store_that_keeps_less_than_it_was_given_is_told(
    index: Path, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "put", lambda file, url: remote.put_bytes(b"half", url))
    with pytest.raises(StoreError, match=r"has 4 bytes, \d+ bytes were put there; run the command again"):
        publish_copy(index, stored)
    monkeypatch.setattr(remote, "put", lambda file, url: remote.remove(url))
    with pytest.raises(StoreError, match=r"is not there, \d+ bytes were put there"):
        publish_copy(index, stored)


@pytest.mark.parametrize("damage", [b"", b"{}", b"x" * 100])
def test_a_manifest_that_is_damaged_in_the_store(damage: bytes, index: Path, stored: str) -> None:
    publish_copy(index, stored)
    remote.put_bytes(damage, f"{stored}/v2.json")
    with pytest.raises(StoreError, match=f"^{stored}/v2.json: it is damaged: .*; remove it, and publish"):
        publish_copy(index, stored)
    remote.put_bytes((index / "v2.json").read_bytes(), f"{stored}/v3.json")
    with pytest.raises(StoreError, match=f"^{stored}/v3.json: it says that it is version 2"):
        publish_copy(index, stored)


def test_a_writer_that_is_faster_is_followed(index: Path, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that was begun is gone in the middle of the copy; the next one is copied."""
    put: Any = remote.put
    versions = iter([[4], [5]])

    def behind_a_writer(file: Path, url: str) -> None:
        if numbers := next(versions, None):
            grown(index, numbers)
            compact(index)
        put(file, url)

    monkeypatch.setattr(remote, "put", behind_a_writer)
    copied = publish_copy(index, stored)
    manifest: Manifest = open_index(index).version.manifest
    assert (copied.version, copied.rows) == (manifest.version, 5)
    assert own_files(index).items() <= contents(stored).items()


def test_urls_and_places_of_nothing(index: Path, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=r"s3://\*\*\*@bucket holds a password"):
        publish_copy(index, "s3://N:PASS@bucket")
    with pytest.raises(NoStoreError, match="no index at"):
        publish_copy(tmp_path / "none", "memory://bucket/none")
