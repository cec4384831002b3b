"""Words and dots by held-out photos of colours: what is fitted, what is reported, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dqh.collection import index_images
from dqh.data.boxes import Boxes
from dqh.detection.detections import Detections
from dqh.discovery import fitting
from dqh.discovery.answer_rows import KINDS
from dqh.discovery.dot_signals import SIGNALS
from dqh.discovery.fitting import fit_look
from dqh.discovery.flashlight import Flashlight, open_flashlight
from dqh.discovery.look_fit import LookFit, read_look_fit
from dqh.errors import ConfigError, DataError, MismatchError
from dqh.index.store import Header, Hit, Writer
from tests.collection.seer import Seer, photo
from tests.discovery.held import Place, draw


@pytest.fixture(scope="module")
def flashlight(place: Place) -> Flashlight:
    return open_flashlight(place.index, detector=Seer(), device="cpu")


@pytest.fixture(scope="module")
def fitted(place: Place, flashlight: Flashlight) -> LookFit:
    return fit_look(flashlight, place.boxes(), right="object")


def test_what_is_fitted(place: Place, flashlight: Flashlight, fitted: LookFit) -> None:
    photos = place.boxes()
    boxes = sum(len(photos.boxes(row).boxes) for row in range(len(photos)))
    assert fitted.data == {
        "name": "colours",
        "boxes_sha256": photos.boxes_sha256,
        "photos": 24,
        "boxes": boxes,
        "left_out": 0,
        "skipped": 0,
    }
    assert (fitted.encoder_id, fitted.detector_id) == (flashlight.encoder.encoder_id, Seer().detector_id)
    assert fitted.annotator.crops == boxes
    assert fitted.dot_filter is not None
    assert (fitted.dot_filter.dots, fitted.dot_filter.photos, fitted.dot_filter.signals) == (48, 24, SIGNALS)
    assert (fitted.dot_filter.encoder_id, fitted.dot_filter.detector_id) == (fitted.encoder_id, fitted.detector_id)


def test_what_is_reported(fitted: LookFit) -> None:
    """Colours are told by any encoder: nearly every first word is right. 60 % of the dots are marked."""
    words, dots = fitted.measured["words"], fitted.measured["dots"]
    assert words["first_right"] > 0.9
    assert words["calibration_error"] < 0.15
    assert sum(part["cases"] for part in words["bins"]) == words["boxes"] == fitted.data["boxes"]
    assert (dots["dots"], dots["photos"], dots["right"]) == (48, 24, "object")
    assert dots["meanings"]["object"]["share"] == pytest.approx(fitted.data["boxes"] / 48)
    assert set(dots["meanings"]) == {"object", "search"}
    assert fitted.dot_filter is not None
    assert dots["threshold"] == fitted.dot_filter.threshold
    assert dots["meanings"]["object"]["together"][-1]["kept"] == 1.0
    assert [cut["threshold"] for cut in dots["meanings"]["object"]["score"]] == pytest.approx([0.9, 0.7, 0.5])


def test_it_looks_as_it_was_fitted(place: Place, fitted: LookFit, tmp_path: Path) -> None:
    """From the folder: words have a confidence, and the filter says which dots are shown."""
    fitted.save(tmp_path / "look")
    sight = open_flashlight(place.index, detector=Seer(), fitted=tmp_path / "look", device="cpu").look(
        place.photos / "00.png"
    )
    assert len(sight.spots) == 2
    assert read_look_fit(tmp_path / "look") == fitted
    for spot in sight.spots:
        assert spot.worth is not None
        assert spot.words[0].word == spot.object
        assert spot.words[0].confidence is not None
        assert spot.words[0].confidence > 0.8
        assert spot.shown == (spot.worth >= fitted.measured["dots"]["threshold"])


def test_which_threshold(place: Place, flashlight: Flashlight) -> None:
    most = fit_look(flashlight, place.boxes(), right="object", share=1.0)
    surest = fit_look(flashlight, place.boxes(), right="object", precision=0.5)
    assert most.dot_filter is not None
    assert surest.dot_filter is not None
    assert most.dot_filter.threshold == most.dot_filter.table[-1].threshold
    assert surest.dot_filter.threshold in [cut.threshold for cut in surest.dot_filter.table if cut.precision >= 0.5]
    with pytest.raises(DataError, match=r"no threshold of the table has precision 1\.0, the most is"):
        fit_look(flashlight, place.boxes(), right="object", precision=1.0)


def test_the_kernel_of_the_words_is_that_of_the_signals(
    place: Place, flashlight: Flashlight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a look with both of them has it."""
    kernels = []
    own = fitting.signals_of
    monkeypatch.setattr(
        fitting, "signals_of", lambda *args, **more: kernels.append(more["kernel"]) or own(*args, **more)
    )
    fit = fit_look(flashlight, place.boxes(), right="object")
    assert kernels == [fit.annotator.kernel]


def test_words_alone_where_there_is_no_detector(place: Place, flashlight: Flashlight, fitted: LookFit) -> None:
    alone = fit_look(Flashlight(flashlight.index, flashlight.encoder, None), place.boxes())
    assert (alone.dot_filter, alone.detector_id, list(alone.measured)) == (None, None, ["words"])
    assert alone.annotator == fitted.annotator


def test_an_index_of_whole_images_answers_by_labels(artifact: Path, place: Place, tmp_path: Path) -> None:
    """Photos of one colour each in a folder of its name: what is right of a search is told by the label."""
    for number, name in enumerate(("red", "green", "blue") * 4):
        photo(tmp_path / "photos" / name / f"{number}.png", number, **{name: (2, 2, 46, 38)})
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", device="cpu")
    opened = open_flashlight(tmp_path / "index", detector=Seer(), device="cpu")
    fit = fit_look(opened, place.boxes(), right="object")
    assert fit.measured["words"]["first_right"] > 0.6


def test_a_search_is_right_where_half_of_it_is() -> None:
    """Two dots on a red box, one on nothing; of ten answers five are red, or four, or all."""
    dots = fitting.Dots(
        np.array([0, 0, 0]),
        np.array([[0, 0, 10, 10], [0, 0, 10, 10], [30, 30, 40, 40]], np.float32),
        np.ones(3, np.float32),
        np.array([0, 1, 0]),
    )
    truth = [Boxes(np.array([[0, 0, 10, 10]], np.float32), np.array([0]), np.zeros(1, np.bool_))]
    ids = np.array([[0, 1, 0, 1, 0, 2, 2, 2, 2, 2], [0, 1, 0, 1, 2, 2, 2, 2, 2, 2], [0] * 10])
    answers = fitting.Ranking(ids, np.zeros((3, 10), np.float32))
    right = fitting._right(dots, answers, truth, np.array([0, 0, fitting.OTHER]))
    assert right["search"].tolist() == [True, False, False]
    assert right["object"].tolist() == [True, False, False]


def test_what_an_answer_is_of_the_classes_of_the_photos() -> None:
    """The object, where it is one of them; else the label, where just one of them is; else nothing that counts."""
    rows = [
        Hit(0, "a", ("room",), None, 0, 0, "red", 0.5),
        Hit(1, "b", ("red", "x"), None, 0, 0, "person", 0.5),
        Hit(2, "c", ("red", "room"), None, 0, 0),
        Hit(3, "d", ("x",), None, 0, 0, "person", 0.5),
        Hit(4, "e", ("room",), None, 0, 0),
    ]
    number = {"person": 0, "red": 1, "room": 2}
    assert fitting._classes(rows, ("red", "room"), number).tolist() == [1, 1, fitting.OTHER, fitting.OTHER, 2]


def test_classes_that_the_detector_calls_otherwise(
    artifact: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Photos of one colour in folders `warm` and `cold`: words and searches are judged by these, objects are not.

    Half of what is held out is not marked, so that dots there are wrong.
    """
    names = {"warm": "red", "cold": "blue"}
    for number, (name, colour) in enumerate(list(names.items()) * 6):
        photo(tmp_path / "photos" / name / f"{number}.png", number, **{colour: (2, 2, 46, 38)})
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", objects=Seer(), device="cpu")
    images = []
    for number, (name, colour) in enumerate(list(names.items()) * 10):
        photo(tmp_path / "held" / f"{number}.png", 50 + number, **{colour: (2, 2, 46, 38)})
        images.append({"file": f"{number}.png", "boxes": [[name, 0, 0, 48, 40]] if number % 4 < 2 else []})
    (tmp_path / "held" / "annotations.json").write_text(json.dumps({"classes": list(names), "images": images}))
    opened = open_flashlight(tmp_path / "index", detector=Seer(), device="cpu")
    fit = fit_look(opened, Place(tmp_path / "held", tmp_path).boxes())
    assert "2 classes of colours are no class of the detector, so that no dot is on an object" in caplog.text
    assert fit.measured["words"]["first_right"] == 1.0
    assert list(fit.measured["dots"]["meanings"]) == ["search"]
    assert fit.kinds == ("labels",)
    looking = open_flashlight(tmp_path / "index", detector=Seer(), fitted=fit, device="cpu")
    for spot in looking.look(tmp_path / "held" / "0.png").spots:  # the object red, beside the label warm
        assert [(word, sure is None) for word, _, sure in spot.words] == [("warm", False), ("red", True)]
    assert fit.measured["dots"]["meanings"]["search"]["share"] == pytest.approx(0.5)
    with pytest.raises(
        DataError, match="dots cannot be told, where right is on an object of its class: 0 photos have r"
    ):
        fit_look(opened, Place(tmp_path / "held", tmp_path).boxes(), right="object")


def test_very_many_words_are_cut_down(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Three rows and six cells, so two words: the most frequent ones, and the class, which no row has."""
    labels = [("a", "b", "c"), ("a", "b"), ("a", "d")]
    rows = [Hit(number, "x", own, None, 0, 0) for number, own in enumerate(labels)]
    monkeypatch.setattr(fitting, "_CELLS", 6)
    words, table = fitting._words(rows, {"lamp"}, KINDS)
    assert words == ("a", "b", "lamp")
    assert table.tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert "of 4 words the 3 most frequent ones count" in caplog.text
    monkeypatch.setattr(fitting, "_CELLS", 99)
    assert fitting._words(rows, {"lamp"}, KINDS)[0] == ("a", "b", "c", "d", "lamp")
    assert fitting._words(rows, {"lamp"}, ("tags",))[0] == ("lamp",)


class Blind(Seer):
    """Sees nothing."""

    def detect(self, images: object) -> Detections:
        assert isinstance(images, list)
        return super().detect([np.zeros_like(image) for image in images])


class TestRefused:
    def test_arguments(self, place: Place, flashlight: Flashlight) -> None:
        for more in ({"right": "half"}, {"share": 0.5, "precision": 0.5}):
            with pytest.raises(ConfigError, match="right must be one of search, object, and share or precision given"):
                fit_look(flashlight, place.boxes(), **more)  # type: ignore[arg-type]

    @pytest.mark.parametrize("asked", [{"share": 0.0}, {"share": float("nan")}, {"precision": 1.5}])
    def test_a_share_out_of_range_is_no_half(self, place: Place, flashlight: Flashlight, asked: dict) -> None:
        with pytest.raises(ConfigError, match=f"{next(iter(asked))} must lie above 0 and be at most 1"):
            fit_look(flashlight, place.boxes(), **asked)

    def test_a_detector_that_sees_nothing(self, place: Place) -> None:
        opened = open_flashlight(place.index, detector=Blind(), device="cpu")
        with pytest.raises(
            DataError, match="the detector sees nothing in 24 photos, so that no dots can be judged; nam"
        ):
            fit_look(opened, place.boxes())

    def test_too_few_photos(self, place: Place, flashlight: Flashlight, tmp_path: Path) -> None:
        few = Place(draw(tmp_path / "few", photos=4, seed=3, marked=1.0), place.index)
        with pytest.raises(DataError, match="4 photos of colours have marked objects, wanted 5; take more"):
            fit_look(flashlight, few.boxes())

    def test_dots_that_are_all_right(self, place: Place, flashlight: Flashlight, tmp_path: Path) -> None:
        all_right = Place(draw(tmp_path / "right", photos=9, seed=3, marked=1.0), place.index)
        with pytest.raises(
            DataError, match=r"dots cannot be told, where right is on an object .*0 photos have wrong dot"
        ):
            fit_look(flashlight, all_right.boxes(), right="object")

    def test_an_empty_index(self, place: Place, flashlight: Flashlight, tmp_path: Path) -> None:
        encoder = flashlight.encoder
        header = Header(encoder.encoder_id, encoder.interface.quantizer, encoder.interface.feature_size)
        with Writer(tmp_path / "empty", header) as writer:
            writer.commit()
        opened = open_flashlight(tmp_path / "empty", artifact=encoder.path, detector=Seer(), device="cpu")
        with pytest.raises(DataError, match="has no rows, so that nothing answers; index images first"):
            fit_look(opened, place.boxes())

    def test_a_fit_of_another_encoder(self, place: Place, fitted: LookFit) -> None:
        with pytest.raises(MismatchError, match="is of encoder aaaaaaaaaaaa…, the index of"):
            open_flashlight(place.index, detector=Seer(), fitted=replace(fitted, encoder_id="a" * 64), device="cpu")

    def test_a_fit_and_an_annotator(self, place: Place, fitted: LookFit) -> None:
        with pytest.raises(ConfigError, match="fitted holds an annotator and a filter; leave the others out"):
            open_flashlight(place.index, fitted=fitted, annotator=fitted.annotator, device="cpu")
