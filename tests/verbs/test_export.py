"""`dqh export`."""

import io
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dqh.artifact import read_manifest
from dqh.artifact.manifest import EXPORT_MANIFEST
from tests.export.index.conftest import made


def test_export_then_verify(saved: Path, tmp_path: Path, dqh: Callable) -> None:
    status, out, _ = dqh("export", saved, "--to", "faiss", "--lists", 3)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == [
        str(saved / "faiss" / name) for name in ("README.md", "binary_flat.faiss", "binary_ivf.faiss", "latent.faiss")
    ]
    assert "faiss/latent.faiss" in read_manifest(saved)["files"]
    status, out, _ = dqh("verify", saved)
    assert status == 0
    assert out.endswith("all is well\n")
    status, out, _ = dqh("verify", "--json", saved)
    assert (status, json.loads(out)["holds"], len(json.loads(out)["runs"])) == (0, True, 4)


def test_a_folder_of_its_own_as_json(saved: Path, tmp_path: Path, dqh: Callable) -> None:
    np.save(tmp_path / "codes.npy", np.zeros((5, 2), np.uint8))
    arguments = ("--to", "faiss", "--out", tmp_path / "out", "--codes", tmp_path / "codes.npy", "--json")
    status, out, _ = dqh("export", saved, *arguments)
    assert status == 0
    found = json.loads(out)
    assert found["encoder_id"] == read_manifest(tmp_path / "out", EXPORT_MANIFEST)["encoder_id"]
    assert (
        found["sizes"]["faiss/binary_flat.faiss"] == (tmp_path / "out" / "faiss" / "binary_flat.faiss").stat().st_size
    )
    assert dqh("verify", tmp_path / "out")[0] == 0


def test_a_folder_whose_name_is_no_utf_8(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of a file name come out as they went in, of a stdout that would refuse them, by `python -m dqh.cli`."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    command = ["dqh", "export", str(saved), "--to", "faiss", "--lists", "2", "--out", str(folder)]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict"))
    monkeypatch.delitem(sys.modules, "dqh.cli")  # loaded anew, as __main__
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_module("dqh.cli", run_name="__main__")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 0
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue().split()[1].startswith(os.fsencode(folder))


def test_an_unknown_form_is_a_matter_of_usage(saved: Path, dqh: Callable) -> None:
    status, _, err = dqh("export", saved, "--to", "onnx,tflite")
    assert status == 2
    assert "to: forms of an artifact are onnx, pt2, faiss, triton, got tflite" in err


def test_an_index_is_handed_over(tmp_path: Path, dqh: Callable) -> None:
    index, out = made(tmp_path / "index"), tmp_path / "out"
    status, text, err = dqh("export", index, "--to", "parquet,pgvector", "--out", out)
    assert status == 0
    files = [Path(line.split()[1]).relative_to(out).as_posix() for line in text.splitlines()]
    assert files == [
        "parquet/images.parquet",
        *(
            f"pgvector/{name}"
            for name in ("README.md", "indexes.sql", "load.sh", "rows.copy", "schema.sql", "search.sql")
        ),
    ]
    assert f"version 2 of {index}: 78 images\ncheck with: dqh verify {out}" in err
    assert pq.read_metadata(out / "parquet" / "images.parquet").num_rows == 78
    status, text, _ = dqh("export", index, "--to", "faiss", "--out", out, "--json")
    found = json.loads(text)
    assert (status, found["version"], found["rows"], found["folder"]) == (0, 2, 78, str(out))
    assert set(found["sizes"]) == {"faiss/README.md", "faiss/codes.faiss", "faiss/features.faiss"}
    status, text, _ = dqh("verify", out)
    assert (status, text.splitlines()[1:]) == (0, ["files    11 of 11 match their hashes", "all is well"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("INDEX", "--to", "onnx,faiss,pt2", "--out", "O"), "onnx, pt2: of an artifact; "),
        (("INDEX", "--to", "onnx", "--out", "O"), "dqh export ARTIFACT --to onnx"),
        (("INDEX", "--to", "faiss"), "an index is handed over into a folder of its own: give --out DIR"),
        (("INDEX", "--to", "faiss", "--out", "O", "--lists", "3"), "--lists belongs to --to faiss of an artifact"),
        (
            ("INDEX", "--to", "sqlite", "--out", "O"),
            "forms of an index are faiss, parquet, lance, pgvector, got sqlite",
        ),
        (("SAVED", "--to", "parquet,faiss"), "is an artifact, whose forms are onnx, pt2, faiss, triton; make an index"),
        (("X",), "the following arguments are required: --to"),
        (("X", "--to", "onnx", "--lists", "3"), "--lists belongs to --to faiss, got --to onnx"),
        (("X", "--to", "faiss", "--lists", "0"), "wanted a whole number from 1, got '0'"),
        (("INDEX", "--to", "faiss", "--out", "FILE"), "photo.jpg is a file; name a folder"),
        (("SAVED", "--to", "faiss", "--out", "FILE"), "photo.jpg is a file; name a folder"),
        (("INDEX", "--to", "faiss", "--out", "LINK"), "link is a symbolic link to 'nowhere', where nothing is; make"),
        (("SAVED", "--to", "faiss", "--out", "LINK"), "link is a symbolic link to 'nowhere', where nothing is; make"),
        (("INDEX", "--to", "faiss", "--out", "FULL"), "is not empty; choose another folder"),
        (("X", "--to", "faiss"), "no artifact at X"),
        (("X", "--to", "parquet", "--out", "O"), "no index at X"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, saved: Path, tmp_path: Path, dqh: Callable) -> None:
    paths = {"INDEX": tmp_path / "index", "SAVED": saved, "FULL": tmp_path, "FILE": tmp_path / "photo.jpg"}
    paths["FILE"].touch()
    paths["LINK"] = tmp_path / "link"
    paths["LINK"].symlink_to("nowhere")
    if "INDEX" in arguments:
        made(paths["INDEX"])
    status, out, err = dqh("export", *(paths.get(each, each) for each in arguments))
    assert (status, out) == (2, "")
    assert message in err


def test_an_index_names_its_artifact(saved: Path, tmp_path: Path, dqh: Callable) -> None:
    (made(tmp_path / "index") / "encoder.json").write_text(json.dumps({"artifact": str(saved)}))
    status, _, err = dqh("export", tmp_path / "index", "--to", "onnx", "--out", "O")
    assert status == 2
    assert f"export its artifact: dqh export {saved} --to onnx" in err
