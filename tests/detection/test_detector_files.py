import hashlib
from pathlib import Path

import pytest

from dqh.detection.detector_files import read_fields, read_hashed
from dqh.errors import DetectorError
from dqh.sealed import seal


def test_a_file_is_what_its_hash_says(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"abc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert read_hashed(file, size=3, sha256=sha256) == b"abc"
    file.write_bytes(b"abd")
    with pytest.raises(DetectorError, match=r"model\.onnx is damaged: it does not match the hash in detector\.json"):
        read_hashed(file, size=3, sha256=sha256)
    for damaged in (tmp_path, tmp_path / "none", file / "below"):
        with pytest.raises(DetectorError, match=r"is damaged: .*; copy the whole folder again"):
            read_hashed(damaged, size=3, sha256=sha256)


def test_fields_of_a_manifest(tmp_path: Path) -> None:
    file = tmp_path / "detector.json"
    file.write_bytes(seal({"format_version": 1, "backend": "onnx"}))
    assert read_fields(file, most=1000)["backend"] == "onnx"
    file.write_bytes(seal({"format_version": 2}))
    with pytest.raises(DetectorError, match="has format version 2, this version of dqh reads 1; use the"):
        read_fields(file, most=1000)
    file.write_bytes(b"{}")
    with pytest.raises(DetectorError, match=r"is damaged: .*; copy the folder again"):
        read_fields(file, most=1000)
