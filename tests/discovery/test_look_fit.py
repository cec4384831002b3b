"""What was fitted, in a folder and out of it: whole, checked, of one encoder and detector."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dqh.discovery.annotate import Annotator, Kernel
from dqh.discovery.calibration import Calibration
from dqh.discovery.dot_filter import Cut, DotFilter
from dqh.discovery.look_fit import DOTS, LOOK, WORDS, LookFit, read_look_fit
from dqh.errors import ArtifactError, ConfigError, MismatchError, NoArtifactError
from dqh.sealed import seal, unseal

ENCODER, DETECTOR = "e" * 64, "d" * 64
LINE = Calibration((0.0, 1.0), (0.25, 0.75))
FIT = LookFit(
    Annotator(Kernel("gaussian", 0.5, 10), LINE, LINE, 9),
    DotFilter(("score",), (0.0,), (1.0,), (1.0,), 0.0, 0.7, (Cut(0.7, 0.5, 1.0, 1.0),), 9, 9, DETECTOR, ENCODER),
    ENCODER,
    DETECTOR,
    {"name": "photos", "boxes_sha256": "b" * 64, "photos": 9, "boxes": 20, "left_out": 1},
    {"words": {"first_right": 0.5}},
    ("labels", "tags"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    FIT.save(tmp_path / "a" / "look")
    return tmp_path / "a" / "look"


def test_it_comes_back(path: Path, tmp_path: Path) -> None:
    assert read_look_fit(path) == FIT
    assert sorted(file.name for file in path.iterdir()) == sorted([LOOK, WORDS, DOTS])
    alone = replace(FIT, dot_filter=None, detector_id=None)
    alone.save(tmp_path / "words")
    assert read_look_fit(tmp_path / "words") == alone
    assert sorted(file.name for file in (tmp_path / "words").iterdir()) == sorted([LOOK, WORDS])


def test_a_folder_that_holds_something_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(ConfigError, match="holds a fitted look already; choose another folder"):
        FIT.save(path)
    with pytest.raises(ConfigError, match=r"is not empty; .*a lies there"):
        FIT.save(tmp_path)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize("name", [LOOK, WORDS, DOTS])
def test_damage_is_told(path: Path, name: str) -> None:
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        read_look_fit(path)
    (path / name).unlink()
    error, message = (NoArtifactError, "no fitted look at") if name == LOOK else (ArtifactError, "cannot be read: No")
    with pytest.raises(error, match=message):
        read_look_fit(path)


def test_a_file_of_another_fit_is_refused(path: Path) -> None:
    replace(FIT.annotator, crops=7).save(path / WORDS)
    with pytest.raises(ArtifactError, match=r"words\.json is not the file that look\.json names"):
        read_look_fit(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields.update(detector_id="x"), "detector_id must be 64 hexadecimal digits"),
        (lambda fields: fields["data"].pop("photos"), "data.photos is missing"),
        (lambda fields: fields["files"].update({"../x": {"sha256": "0" * 64, "size": 1}}), "unknown"),
        (lambda fields: fields["files"].pop(WORDS), r"files\.words\.json is missing"),
        (lambda fields: fields.update(kind="dot filter"), "kind must be"),
        (lambda fields: fields.update(kinds=["labels", "colours"]), "kinds"),
    ],
)
def test_a_manifest_that_makes_no_sense(path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    fields = unseal((path / LOOK).read_bytes())
    change(fields)
    (path / LOOK).write_bytes(seal(fields))
    with pytest.raises(ArtifactError, match=message):
        read_look_fit(path)


def test_what_it_belongs_to() -> None:
    FIT.require(encoder_id=ENCODER, detector_id=DETECTOR)
    FIT.require(encoder_id=ENCODER, detector_id=None)
    with pytest.raises(
        MismatchError, match=r"is of encoder eeeeeeeeeeee…, the index of aaaaaaaaaaaa…; fit anew: dqh l"
    ):
        FIT.require(encoder_id="a" * 64, detector_id=DETECTOR)
    with pytest.raises(MismatchError, match="fitted with detector dddddddddddd…"):
        FIT.require(encoder_id=ENCODER, detector_id="a" * 64)
    replace(FIT, dot_filter=None).require(encoder_id=ENCODER, detector_id="a" * 64)
