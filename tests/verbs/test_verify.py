"""`dqh verify`."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.detection.conftest import kept
from tests.export.index.conftest import made

__all__ = ["kept"]


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


def test_verify_wants_an_artifact(dqh: Callable) -> None:
    status, out, err = dqh("verify", "X")
    assert (status, out) == (2, "")
    assert "no artifact at X" in err


def test_it_names_the_verb_for_indexes(tmp_path: Path, dqh: Callable) -> None:
    index = made(tmp_path / "index")
    status, out, err = dqh("verify", index)
    assert (status, out) == (2, "")
    assert f"check it: dqh check {index}" in err


def test_a_ready_detector(kept: Path, dqh: Callable) -> None:
    """Both hashes, and one run of the network."""
    (kept / "more").touch()
    status, out, err = dqh("verify", kept)
    assert (status, out.splitlines()[0]) == (0, f"{kept}: decoder yolox, 2 classes, every hash holds")
    assert "the network runs, and answers as the decoder reads it" in out
    assert err == f"not listed, so not checked: {kept / 'more'}"
    told = json.loads(dqh("verify", kept, "--json")[1])
    assert (told["classes"], told["height"], len(told["detector_id"])) == (2, 64, 64)
    content = bytearray((kept / "model.onnx").read_bytes())
    content[-1] ^= 1
    (kept / "model.onnx").write_bytes(content)
    status, out, err = dqh("verify", kept)
    assert (status, out) == (1, "")
    assert "model.onnx is damaged: it does not match the hash in detector.json" in err
    (kept / "detector.json").write_text("{}")
    status, out, err = dqh("verify", kept)
    assert (status, out) == (1, "")
    assert "detector.json is damaged" in err
