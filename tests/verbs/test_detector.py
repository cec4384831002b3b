"""`dqh detector`."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.detection.conftest import THREE, head, network, written


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text("lamp\nchair\n")
    return written(network(head(THREE)), tmp_path / "three.onnx")


def test_a_folder_is_made(model: Path, tmp_path: Path, dqh: Callable) -> None:
    out, digest = tmp_path / "three", hashlib.sha256(model.read_bytes()).hexdigest()
    status, said, messages = dqh("detector", model, "--classes", tmp_path / "names.txt", "--out", out)
    fields = json.loads((out / "detector.json").read_bytes())
    assert (status, said) == (
        0,
        f"{out}: 2 classes, 64 × 64 pixels, decoder yolox\ndetector_id {fields['detector_id']}\n",
    )
    assert f"the model has the SHA-256 {digest}; with --sha256 no other is taken" in messages


def test_all_can_be_said(model: Path, tmp_path: Path, dqh: Callable) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    status, said, messages = dqh(
        *("detector", model, "--out", tmp_path / "three", "--json", "--decoder", "yolox"),
        *("--classes", tmp_path / "names.txt", "--sha256", digest, "--size", "64,64", "--threshold", ".1"),
        *("--iou", ".5", "--most", 7, "--colour", "RGB", "--largest", 1, "--padding", 0),
    )
    assert (status, messages) == (0, "")
    told = json.loads(said)
    assert {name: told[name] for name in ("threshold", "iou", "most", "colour", "largest", "padding")} == {
        "threshold": 0.1,
        "iou": 0.5,
        "most": 7,
        "colour": "RGB",
        "largest": 1.0,
        "padding": 0,
    }
    assert (told["folder"], told["model"]["sha256"]) == (str(tmp_path / "three"), digest)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "the following arguments are required: MODEL.onnx, --out"),
        (("MODEL", "--out", "OUT", "--decoder", "yolo"), 2, "there is none of the name 'yolo'; did you mean yolox?"),
        (("MODEL", "--out", "OUT", "--classes", "none"), 2, "no class names in none: No such file"),
        (("MODEL", "--out", "OUT"), 1, "2 classes, but 80 classes are named"),
        (("MODEL", "--out", "OUT", "--sha256", "a" * 64), 1, "it is another file or damaged: fetch it again"),
        (("MODEL", "--out", "OUT", "--size", "64"), 2, "wanted height and width in pixels, as 416,416, got '64'"),
        (("MODEL", "--out", "OUT", "--classes", "NAMES", "--threshold", "nan"), 2, "threshold must be a number from 0"),
        (("MODEL", "--out", "OUT", "--classes", "NAMES", "--padding", "300"), 2, "padding must be an integer from 0"),
    ],
)
def test_usage(
    arguments: tuple[str, ...], status: int, message: str, model: Path, tmp_path: Path, dqh: Callable
) -> None:
    places = {"MODEL": model, "OUT": tmp_path / "out", "NAMES": tmp_path / "names.txt"}
    ended, said, messages = dqh("detector", *(places.get(word, word) for word in arguments))
    assert (ended, said) == (status, "")
    assert message in messages
    assert not (tmp_path / "out").exists()


def test_help_names_the_decoders(dqh: Callable) -> None:
    status, said, _ = dqh("detector", "--help")
    assert status == 0
    assert "what reads the output: ready_boxes, yolox (yolox)" in " ".join(said.split())


def test_info_says_how_it_is_run(model: Path, tmp_path: Path, dqh: Callable) -> None:
    assert dqh("detector", model, "--classes", tmp_path / "names.txt", "--out", tmp_path / "three")[0] == 0
    status, said, _ = dqh("info", tmp_path / "three")
    assert status == 0
    assert "classes        lamp, chair\n" in said
    fields = json.loads(dqh("info", tmp_path / "three", "--json")[1])
    assert (fields["decoder"], fields["classes"], fields["threshold"]) == ("yolox", ["lamp", "chair"], 0.25)
    (tmp_path / "three" / "detector.json").write_bytes(b"{}")
    assert dqh("info", tmp_path / "three")[0] == 1
