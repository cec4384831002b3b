"""All forms of an index in one folder, and what is refused before anything is written."""

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from dqh.artifact import read_manifest
from dqh.artifact.manifest import EXPORT_MANIFEST
from dqh.errors import ConfigError, DqhError, NoStoreError, StoreError
from dqh.export.index import FORMS, hand_over
from dqh.export.verify import verify
from dqh.index.store import Header, Row, Writer, remove
from dqh.quantizers import Threshold
from tests.export.index.conftest import BITS, ENCODER, damaged, made


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["binary", "pq"])
def test_all_forms_and_their_hashes(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    index, out = made(tmp_path / "index", kind), tmp_path / "out"
    with caplog.at_level(logging.WARNING, "dqh"):
        found = hand_over(index, list(FORMS), out=out)
    assert caplog.messages == [r"1 labels are no text everywhere and are written with escapes, the first: \xe9t\xe9"]
    assert (found.folder, found.encoder_id, found.version, found.rows) == (out, ENCODER, 2, 78)
    names = {each.partition("/")[0] for each in found.sizes}
    assert names == set(FORMS)
    assert {each: (out / each).stat().st_size for each in found.sizes} == found.sizes
    fields = read_manifest(out, EXPORT_MANIFEST)
    assert (fields["bits"], fields["version"], fields["rows"]) == (BITS, 2, 78)
    checked = verify(out)
    assert (checked.holds, checked.files, checked.unlisted, checked.runs) == (True, len(found.sizes) + 1, (), ())
    (out / "parquet" / "images.parquet").write_bytes(b"")
    assert not verify(out).holds


def test_the_index_goes_on(index: Path, tmp_path: Path) -> None:
    hand_over(index, ["parquet"], out=tmp_path / "out")
    hand_over(str(index), ["faiss"], out=str(tmp_path / "out"))  # of the same version: added
    remove(index, where="id = 3")
    with pytest.raises(StoreError, match="holds faiss of version 2 of an index, this is version 3"):
        hand_over(index, ["parquet"], out=tmp_path / "out")
    assert hand_over(index, ["faiss", "parquet"], out=tmp_path / "out").rows == 77


@pytest.mark.parametrize(("asked", "message"), [(["parquet", "onnx"], "got onnx"), ([], "got none")])
def test_unknown_forms(index: Path, tmp_path: Path, asked: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"to: forms of an index are faiss, parquet, lance, pgvector, {message}"):
        hand_over(index, asked, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_refused_before_anything_is_written(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(NoStoreError, match="no index at"):
        hand_over(tmp_path / "none", ["faiss"], out=out)
    for inside in (index, index / "faiss"):
        with pytest.raises(ConfigError, match="lies in the index"):
            hand_over(index, ["faiss"], out=inside)
    with Writer(tmp_path / "wide", Header("e", Threshold(3), 16_001)) as writer:
        writer.add([Row("a")], np.array([[1]], np.uint8), np.ones((1, 16_001), np.float32))
        writer.commit()
    with pytest.raises(DqhError, match="features have 16001 dimensions"):
        hand_over(tmp_path / "wide", ["faiss", "pgvector"], out=out)
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(DqhError, match="needs the package lancedb"):
        hand_over(index, ["parquet", "lance"], out=out)
    assert not out.exists()


def test_damage_leaves_what_was_there(index: Path, tmp_path: Path) -> None:
    before = shutil.copytree(index, tmp_path / "before")
    hand_over(before, ["parquet"], out=tmp_path / "out")
    kept = read_manifest(tmp_path / "out", EXPORT_MANIFEST)
    for form in FORMS:
        with pytest.raises(StoreError, match=r"features\.npy is damaged"):
            hand_over(damaged(index) if form == "faiss" else index, [form], out=tmp_path / "out")
    assert read_manifest(tmp_path / "out", EXPORT_MANIFEST) == kept
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "export.json",
        "parquet",
        "quantizer.safetensors",
    ]


def test_an_index_with_objects_says_whose_they_are(tmp_path: Path) -> None:
    """Its forms are checked and replaced as any others; those of an index without objects do not name a detector."""
    for detector_id in (None, "seer"):
        index, out = tmp_path / f"index {detector_id}", tmp_path / f"out {detector_id}"
        with Writer(index, Header("e", Threshold(3), 2, detector_id=detector_id)) as writer:
            rows = [Row("a"), Row("a", (), (0, 0, 8, 9), b"", *(("dog", 0.3) if detector_id else ()))]
            writer.add(rows, np.array([[1], [2]], np.uint8), np.ones((2, 2), np.float32))
            writer.commit()
        hand_over(index, ["faiss", "parquet", "pgvector"], out=out)
        hand_over(index, ["faiss", "parquet", "pgvector"], out=out)
        assert read_manifest(out, EXPORT_MANIFEST).get("detector_id") == detector_id
        assert verify(out).holds
