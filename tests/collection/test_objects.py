"""What a detector sees, as an index takes it, and which detector that is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.collection import objects
from dqh.collection.artifact_note import artifact_note
from dqh.collection.objects import Named, Part, detector_of, look
from dqh.detection.detections import Detections
from dqh.errors import MismatchError, NoDetectorError
from dqh.index.store import Header, Writer
from dqh.quantizers import Threshold
from tests.collection.seer import Seer

IMAGE = np.zeros((40, 48, 3), np.uint8)


class Says(Seer):
    """Answers what it is told, for every image."""

    def __init__(self, *answers: tuple[tuple[float, ...], float, int], valid: int = 99) -> None:
        super().__init__()
        self._answers, self._valid = answers, valid

    def detect(self, images: object) -> Detections:
        assert isinstance(images, list)
        boxes, scores, classes = (np.array([part] * len(images)) for part in zip(*self._answers, strict=True))
        valid = np.tile(np.arange(len(self._answers)) < self._valid, (len(images), 1))
        return Detections(boxes.astype(np.float32), scores.astype(np.float32), classes, valid)


def test_boxes_become_whole_pixels_inside_the_image() -> None:
    """By falling score, whatever the order; the third is 7 pixels wide once rounded, the fourth the first again."""
    told = Says(
        ((2.4, 3.6, 20.4, 30), 0.5, 0),
        ((-0.4, -3, 60, 39.7), 0.75, 2),
        ((10.4, 0, 17.4, 40), 0.6, 1),
        ((2.2, 4.4, 20.1, 29.9), 0.25, 1),
        ((0, 0, 8, 8), 0.125, 1),
    )
    (seen,) = look(told, [IMAGE])
    assert seen == (
        (
            Part((0, 0, 48, 40), "blue", 0.75),
            Part((2, 4, 20, 30), "red", 0.5),
            Part((0, 0, 8, 8), "green", 0.125),
        ),
        2,
    )
    assert "-0" not in str(seen)
    assert look(Says(((0, 0, 9, 9), 0.5, 0), valid=0), [IMAGE] * 2) == [((), 0)] * 2


@pytest.mark.parametrize(
    "answer",
    [
        ((0, 0, float("nan"), 9), 0.5, 0),
        ((0, 0, float("inf"), 9), 0.5, 0),
        ((0, 0, 9, 9), 1.5, 0),
        ((0, 0, 9, 9), float("nan"), 0),
        ((0, 0, 9, 9), 0.5, 3),
        ((0, 0, 9, 9), 0.5, -1),
    ],
)
def test_answers_that_make_no_sense_are_failures(answer: tuple) -> None:
    (seen,) = look(Says(((0, 0, 9, 9), 0.5, 0), answer), [IMAGE])
    assert isinstance(seen, str)
    assert seen.startswith("the detector fails on it: it answers box [0.0, 0.0, ")
    assert "of 3" in seen


def test_an_image_on_which_it_fails_takes_no_other_along() -> None:
    bad = IMAGE.copy()
    bad[0, 0] = (255, 0, 255)
    red = IMAGE.copy()
    red[4:20, 6:30] = (255, 0, 0)
    answers = look(Seer(), [red, bad, IMAGE])
    assert answers[1] == "the detector fails on it: it does not like this photo"
    assert answers[0] == ((Part((6, 4, 30, 20), "red", float(np.float32(0.9))),), 0)
    assert answers[2] == ((), 0)


@pytest.fixture
def index(tmp_path: Path) -> Callable[[str | None], Path]:
    """An empty index of a detector, which was at `tmp_path / "seer"`."""

    def make(detector_id: str | None) -> Path:
        header = Header("id", Threshold(8), 1, detector_id=detector_id)
        with Writer(tmp_path / "index", header) as writer:
            writer.commit(beside={"encoder.json": artifact_note(tmp_path, detector_id and tmp_path / "seer")})
        return tmp_path / "index"

    return make


def test_which_detector(index: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is given, else the one that is remembered, which must be that of the index."""
    own, other = Seer(), Seer("o" * 64)
    opened: list[Path] = []
    monkeypatch.setattr(objects, "open_detector", lambda path: opened.append(Path(path)) or own)
    assert detector_of(tmp_path / "none", None, option="--objects") is None
    assert detector_of(tmp_path / "none", other, option="--objects") == Named(other, None)
    path = index(own.detector_id)
    with pytest.raises(NoDetectorError, match=r"made with the detector at .*seer, which is not there; name it: --dot"):
        detector_of(path, None, option="--dot")
    (tmp_path / "seer").mkdir()
    assert detector_of(path, None, option="--dot") == Named(own, tmp_path / "seer")
    assert detector_of(path, "elsewhere", option="--dot") == Named(own, Path("elsewhere"))
    assert opened == [tmp_path / "seer", Path("elsewhere")]
    with pytest.raises(MismatchError, match=f"objects of detector {own.detector_id}, detector {other.detector_id} is"):
        detector_of(path, other, option="--dot", foreign=True)


def test_an_index_without_objects_takes_a_foreign_detector_for_a_dot_alone(index: Callable) -> None:
    path, seer = index(None), Seer()
    assert detector_of(path, None, option="--objects") is None
    assert detector_of(path, seer, option="--detector", foreign=True) == Named(seer, None)
    with pytest.raises(MismatchError, match="was made without objects, detector 5ee2"):
        detector_of(path, seer, option="--objects")


def test_a_detector_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoDetectorError, match=str(tmp_path / "none")):
        detector_of(tmp_path / "index", tmp_path / "none", option="--objects")


def test_other_errors_than_its_own_are_not_hidden() -> None:
    class Broken(Seer):
        def detect(self, images: object) -> Detections:
            raise RuntimeError("a mistake of ours")

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        look(Broken(), [IMAGE])
