import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from dqh.errors import NoStoreError, StoreError
from dqh.index.store import manifest as manifests
from dqh.index.store.durable import FileEntry
from dqh.index.store.manifest import SEGMENT_FILES, Manifest, SegmentEntry, at_newest, newest_version, read_manifest
from dqh.sealed import seal

ENTRY = FileEntry("0" * 64, 10)
MANIFEST = Manifest(
    version=3,
    encoder_id="an id",
    precision="float32",
    code_kind="binary",
    code_distance="hamming",
    bits=48,
    feature_size=4096,
    root="/photos\udcff",
    next_id=7,
    quantizer=ENTRY,
    segments=(SegmentEntry("000000001-000000", 5, dict.fromkeys(SEGMENT_FILES, ENTRY)),),
    deleted=FileEntry("1" * 64, 1),
    deleted_rows=2,
)


def changed(**fields: Any) -> bytes:
    """A manifest with other fields, and the hash of these."""
    return seal(
        {name: value for name, value in json.loads(MANIFEST.to_bytes()).items() if name != "self_sha256"} | fields
    )


def test_a_manifest_comes_back() -> None:
    assert Manifest.from_bytes(MANIFEST.to_bytes()) == MANIFEST
    assert (MANIFEST.rows, MANIFEST.live, MANIFEST.bitmap) == (5, 3, "deleted/3.bitmap")
    assert set(MANIFEST.files()) == {
        "quantizer.safetensors",
        "deleted/3.bitmap",
        *(f"segments/000000001-000000/{name}" for name in SEGMENT_FILES),
    }


def test_the_hash_is_the_last_field() -> None:
    *names, last = json.loads(MANIFEST.to_bytes())
    assert names == sorted(names)
    assert last == "self_sha256"


def test_every_changed_byte_is_found() -> None:
    content = MANIFEST.to_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match="it is damaged"):
            Manifest.from_bytes(bytes(damaged))
    for size in range(len(content)):
        with pytest.raises(ValueError, match="it is damaged"):
            Manifest.from_bytes(content[:size])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 0}, "version must be a whole number of at least 1, it gives 0"),
        ({"bits": "48"}, "bits must be a whole number"),
        ({"bits": True}, "bits must be a whole number"),
        ({"root": None}, "root must be a text"),
        ({"format_version": 99}, r"it has format version 99, this version of dqh reads \[1\]; use the dqh that wrote"),
        ({"format_version": "1"}, "it has format version 1"),
        ({"deleted": None}, "it says that 2 of 5 rows are deleted, and not which"),
        ({"deleted_rows": 6}, "it says that 6 of 5 rows"),
        ({"quantizer": {"sha256": "x", "size": 1}}, "it gives 'x' for a hash"),
        ({"quantizer": None}, "it does not describe an index"),
        ({"segments": [{"name": "../..", "rows": 5, "files": {}}]}, "it names a segment '../..'"),
        ({"segments": [{"name": "000000001-000000", "rows": 5, "files": {}}]}, "with files"),
        ({"segments": json.loads(MANIFEST.to_bytes())["segments"] * 2}, "it names a segment twice"),
    ],
)
def test_what_does_not_describe_an_index(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Manifest.from_bytes(changed(**fields))


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"[" * 100_000, b'{"self_sha256": 1}', b"\xff"])
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(ValueError, match="it is damaged"):
        Manifest.from_bytes(content)


def test_an_older_format_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if format 2 had renamed a field: what format 1 wrote is read as before."""
    older = MANIFEST.to_bytes()
    monkeypatch.setattr(manifests, "FORMAT_VERSION", 2)
    with pytest.raises(ValueError, match=r"it has format version 1, this version of dqh reads \[2\]"):
        Manifest.from_bytes(older)
    monkeypatch.setitem(manifests.UPGRADES, 1, lambda fields: fields | {"precision": "upgraded"})
    assert Manifest.from_bytes(older) == dataclasses.replace(MANIFEST, precision="upgraded")


def test_the_newest_version(tmp_path: Path) -> None:
    assert newest_version(tmp_path / "none") is None
    for name in ("v9.json", "v10.json", "v010.json", "v11.json.new", ".v12.json.new", "v.json", "w13.json"):
        (tmp_path / name).touch()
    assert newest_version(tmp_path) == 10


def test_reading_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v3.json").write_bytes(MANIFEST.to_bytes())
    (tmp_path / "v4.json").write_bytes(MANIFEST.to_bytes())
    assert read_manifest(tmp_path, 3) == MANIFEST
    with pytest.raises(StoreError, match=r"v4.json: it says that it is version 3; copy the index again"):
        read_manifest(tmp_path, 4)
    monkeypatch.setattr(manifests, "_MANIFEST_BYTES", 100)
    with pytest.raises(StoreError, match="it is larger than 100 bytes"):
        read_manifest(tmp_path, 3)


def test_a_version_that_goes_away_is_looked_for_again(tmp_path: Path) -> None:
    """A writer publishes version 4 and removes version 3 while a reader opens the files of version 3."""
    (tmp_path / "v3.json").write_bytes(MANIFEST.to_bytes())
    seen = []

    def use(manifest: Manifest) -> int:
        seen.append(manifest.version)
        if manifest.version == 3:
            (tmp_path / "v4.json").write_bytes(dataclasses.replace(MANIFEST, version=4).to_bytes())
            (tmp_path / "v3.json").unlink()
            raise FileNotFoundError(2, "No such file", "segments/1")
        return manifest.version

    assert at_newest(tmp_path, use) == 4
    assert seen == [3, 4]


def test_what_is_missing_for_good(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match=r"no index at .*: it has no v<N>.json; make one with dqh index"):
        at_newest(tmp_path, lambda manifest: manifest)
    (tmp_path / "v3.json").write_bytes(MANIFEST.to_bytes())
    with pytest.raises(StoreError, match=r"is incomplete: .*codes.npy is missing; copy the whole folder"):
        at_newest(tmp_path, lambda manifest: (tmp_path / "codes.npy").read_bytes())
    with pytest.raises(StoreError, match=r"cannot be read: .*Is a directory"):
        at_newest(tmp_path, lambda manifest: tmp_path.read_bytes())


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], NoStoreError, "no index at .*; make one with dqh index ARTIFACT IMAGES --out {path}$"),
        (["LOCK", "segments/000000001-000000/codes.npy"], NoStoreError, "no index at .* --out {path}$"),
        (["a.jpg"], NoStoreError, "no index at .* --out NEW$"),
        (["segments/a.jpg", "encoder.json"], NoStoreError, "no index at .* --out NEW$"),
        (["segments/000000001-000000/codes.npy", "encoder.json"], StoreError, "has lost its v<N>.json.* --out NEW$"),
        (["segments/000000002-000000/codes.npy"], StoreError, "has lost its v<N>.json, its segments are there; copy"),
    ],
)
def test_a_folder_without_a_manifest(tmp_path: Path, names: list[str], error: type, message: str) -> None:
    """Never filled, left by a first commit that did not end, of somebody else, or an index that lost it."""
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(StoreError, match=message.format(path=tmp_path)) as caught:
        at_newest(tmp_path, lambda manifest: manifest)
    assert caught.type is error


def test_a_file_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoStoreError, match=r"no index at .* --out NEW$"):
        at_newest(tmp_path / "file", lambda manifest: manifest)
