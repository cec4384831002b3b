import dataclasses
import json
from typing import Any

import pytest

from dqh.index.store import manifest as manifests
from dqh.index.store.durable import FileEntry
from dqh.index.store.manifest import Manifest, SegmentEntry
from dqh.index.store.schema import SEGMENT_FILES
from dqh.index.store.tags import TagsEntry
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
    detector_id="a detector",
)

TAGS = TagsEntry(2, 2, 5, ENTRY).to_json()


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
        ({"version": 0}, "version must be a whole number of 1 … 999999999, it gives 0"),
        ({"bits": "48"}, "bits must be a whole number"),
        ({"bits": True}, "bits must be a whole number"),
        ({"bits": 48.0}, "bits must be a whole number of 1 … 1048576, it gives 48.0"),
        ({"bits": 2**20 + 1}, "bits must be a whole number of 1 … 1048576"),
        ({"version": 10**9}, "version must be a whole number of 1 … 999999999"),
        ({"next_id": 2**62}, "next_id must be a whole number of 0 … 4611686018427387903"),
        ({"next_id": 2}, "it has 3 rows, and gives 2 for the next id"),
        ({"encoder_id": ""}, r"encoder_id must be a text of 1 … 32768 bytes, it gives ''"),
        ({"root": "/a\0b"}, "root must not hold the character NUL"),
        ({"code_kind": "sha"}, "code_kind must be one of binary, class_index, pq, it gives 'sha'; update dqh"),
        ({"code_distance": "l2"}, "code_distance of binary codes must be one of hamming, it gives 'l2'"),
        ({"segments": {}}, "segments must be a list, it gives {}"),
        ({"segments": [[]]}, "it gives no name in "),
        ({"deleted": []}, "it gives no sha256 in "),
        ({"root": None}, "root must be a text"),
        ({"format_version": 99}, r"it has format version 99, this version of dqh reads \[1, 2, 3\]; use the dqh"),
        ({"format_version": "1"}, "it has format version 1"),
        ({"detector_id": ""}, "detector_id must be a text of 1 … 32768 bytes, it gives ''"),
        ({"detector_id": 7}, "detector_id must be a text"),
        ({"tags": [], "format_version": 3}, "it gives no sha256 in "),
        ({"tags": TAGS | {"images": 4}, "format_version": 3}, "images of tags must be a whole number of 1 … 3"),
        ({"tags": TAGS | {"words": 0}, "format_version": 3}, "words of tags must be a whole number of 1 … 512"),
        ({"tags": TAGS | {"version": 4}, "format_version": 3}, "version of tags must be a whole number of 1 … 3"),
        ({"tags": TAGS | {"size": 2**30 + 1}, "format_version": 3}, "size of tags must be a whole number of 1 … 1073"),
        ({"format_version": 3}, "it gives no tags in "),
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


def test_an_index_without_objects_has_the_format_of_before() -> None:
    plain = dataclasses.replace(MANIFEST, detector_id=None)
    fields = json.loads(plain.to_bytes())
    assert fields["format_version"] == 1
    assert "detector_id" not in fields
    assert Manifest.from_bytes(plain.to_bytes()) == plain
    assert json.loads(MANIFEST.to_bytes())["format_version"] == 2


@pytest.mark.parametrize("detector_id", ["a detector", None])
def test_tags_have_a_format_of_their_own_and_stay_with_their_version(detector_id: str | None) -> None:
    entry = TagsEntry(2, 2, 5, ENTRY)
    tagged = dataclasses.replace(MANIFEST, tags=entry, detector_id=detector_id)
    fields = json.loads(tagged.to_bytes())
    assert (fields["format_version"], fields["tags"], fields["detector_id"]) == (3, TAGS, detector_id)
    assert Manifest.from_bytes(tagged.to_bytes()) == tagged
    assert tagged.files()["tags/2.parquet"] == ENTRY


def test_an_older_format_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if format 4 had renamed a field: what format 2 wrote is read as before."""
    older = MANIFEST.to_bytes()
    monkeypatch.setattr(manifests, "FORMAT_VERSION", 4)
    monkeypatch.delitem(manifests.UPGRADES, 2)
    with pytest.raises(ValueError, match=r"it has format version 2, this version of dqh reads \[1, 4\]"):
        Manifest.from_bytes(older)
    monkeypatch.setitem(manifests.UPGRADES, 2, lambda fields: fields | {"tags": None})
    monkeypatch.setitem(manifests.UPGRADES, 3, lambda fields: fields | {"precision": "upgraded"})
    assert Manifest.from_bytes(older) == dataclasses.replace(MANIFEST, precision="upgraded")
