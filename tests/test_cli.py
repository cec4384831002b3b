"""`dqh VERB`: results on stdout, messages on stderr, exit statuses."""

import io
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.export import golden_files, read_manifest, save_artifact
from dqh.export.manifest import EXPORT_MANIFEST
from tests.export.conftest import images, make


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artifact = make()
    save_artifact(artifact, tmp_path / "artifact", golden=golden_files(artifact, images()))
    return tmp_path / "artifact"


def test_help_names_the_verbs_and_the_scripts(dqh: Callable) -> None:
    status, out, _ = dqh("--help")
    assert status == 0
    for each in (
        "export",
        "verify",
        "index",
        "search",
        "remove",
        "compact",
        "check",
        "info",
        "train.py",
        "evaluate.py",
    ):
        assert each in out


def test_what_is_not_needed_for_help_is_not_loaded() -> None:
    heavy = ("numpy", "torch", "hydra", "pytorch_lightning")
    program = f"import sys, dqh.cli; dqh.cli.parser(); print([each for each in {heavy} if each in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_export_then_verify(saved: Path, tmp_path: Path, dqh: Callable) -> None:
    status, out, _ = dqh("export", saved, "--to", "faiss", "--lists", 3)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == [
        str(saved / "faiss" / name) for name in ("binary_flat.faiss", "binary_ivf.faiss", "latent.faiss", "README.md")
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


def test_damage_and_strangers(saved: Path, dqh: Callable) -> None:
    (saved / "more").touch()
    status, _, err = dqh("verify", saved)
    assert status == 0
    assert err == f"not listed, so not checked: {saved / 'more'}"
    (saved / "split.json").write_text("{}")
    status, out, _ = dqh("verify", saved)
    assert status == 1
    assert "split.json is damaged" in out
    assert "NOT as it was written" in out
    status, out, err = dqh("export", saved, "--to", "faiss")
    assert (status, out) == (1, "")
    assert "split.json is damaged" in err


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: VERB"),
        (("serve",), "invalid choice: 'serve'"),
        (("export", "X"), "the following arguments are required: --to"),
        (("export", "X", "--to", "onnx", "--lists", "3"), "--lists belongs to --to faiss, got --to onnx"),
        (("export", "X", "--to", "faiss"), "no artifact at X"),
        (("verify", "X"), "no artifact at X"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, dqh: Callable) -> None:
    status, out, err = dqh(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_an_unknown_form_is_a_matter_of_usage(saved: Path, dqh: Callable) -> None:
    status, _, err = dqh("export", saved, "--to", "onnx,tflite")
    assert status == 2
    assert "forms must be some of onnx, pt2, faiss, triton, got tflite" in err


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (None, 143)])
def test_interrupted(raised: type[BaseException] | None, status: int, saved: Path, dqh: Callable) -> None:
    def stopped(*given: object, **more: object) -> None:
        if raised is not None:
            raise raised
        signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dqh.export.verify.verify", stopped)
        assert dqh("verify", saved)[0] == status
