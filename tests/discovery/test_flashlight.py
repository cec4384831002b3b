"""Looking at photos of colours: a detector that sees them, and an index of their objects."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.collection import index_images, search_images
from dqh.discovery.annotate import Annotator, Kernel
from dqh.discovery.calibration import Calibration
from dqh.discovery.dot_filter import Cut, DotFilter
from dqh.discovery.dot_signals import SIGNALS
from dqh.discovery.flashlight import STAGES, Flashlight, Sight, open_flashlight
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import BadImageError, ConfigError, MismatchError, NoDetectorError
from dqh.index.store import open_index
from tests.collection.seer import FAILS, RED, Seer, photo, photos

LINE = Calibration((0.0, 1.0), (0.0, 1.0))
FILTER = DotFilter(("area",), (0.0,), (1.0,), (1.0,), 0.0, 0.3, (Cut(0.3, 0.5, 1.0, 1.0),), 9, 9)


@pytest.fixture(scope="module")
def indexed(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of photos, and their index with objects."""
    folder = tmp_path_factory.mktemp("collection")
    index_images(artifact, [photos(folder / "photos")], folder / "index", objects=Seer(), device="cpu")
    return folder / "photos", folder / "index"


@pytest.fixture
def opened(indexed: tuple[Path, Path]) -> Callable[..., Flashlight]:
    return lambda **more: open_flashlight(indexed[1], **{"detector": Seer(), "device": "cpu", **more})


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """A small red object and a large blue one."""
    return photo(tmp_path / "query.png", 9, red=(2, 3, 12, 13), blue=(16, 4, 44, 36))


def test_objects_of_the_collection_find_themselves(
    indexed: tuple[Path, Path], opened: Callable[..., Flashlight]
) -> None:
    root, _ = indexed
    sight = opened().look(root / "a" / "both.png", k=1)
    assert [(spot.object, spot.score) for spot in sight.spots] == [
        ("red", pytest.approx(0.9)),
        ("green", pytest.approx(0.7)),
    ]
    for spot in sight.spots:
        (hit,) = spot.hits
        assert (hit.path, hit.object, hit.box) == ("a/both.png", spot.object, spot.box)
    assert sight.spots[0].box == RED
    assert sight.spots[0].dot == (11, 16.5)
    assert (sight.size, sight.note, tuple(sight.seconds)) == ((48, 40), "", STAGES)


def test_answers_are_those_of_a_search_by_the_box(
    indexed: tuple[Path, Path], opened: Callable[..., Flashlight], query: Path
) -> None:
    sight = opened().look(query, k=2)
    for spot in sight.spots:
        answers = search_images(indexed[1], [query], box=spot.box, objects=True, k=2, device="cpu")
        assert [hit[:5] for hit in spot.hits] == [hit[:5] for hit in answers.found.hits[0]]


def test_words_are_labels_and_objects_of_the_answers(opened: Callable[..., Flashlight], query: Path) -> None:
    """Three images have objects, in folders a, b and b: of equal weights the label b has two thirds."""
    sight = opened(annotator=Annotator(Kernel("equal", 0.0, 3), LINE, LINE, 9)).look(query)
    shares = {word: share for word, share, _ in sight.spots[0].words}
    assert shares["b"] == pytest.approx(2 / 3)
    assert shares["a"] == pytest.approx(1 / 3)
    assert set(shares) - {"a", "b"} <= {"red", "green", "blue"}
    assert all(confidence == pytest.approx(share) for _, share, confidence in sight.spots[0].words)
    plain = opened().look(query, words=1)
    assert [len(spot.words) for spot in plain.spots] == [1, 1]
    assert plain.spots[0].words[0].confidence is None


def test_tags_are_words_by_their_weight(
    artifact: Path, indexed: tuple[Path, Path], query: Path, tmp_path: Path
) -> None:
    """Of three images with objects, that of folder a weighs a third: a tag of .5 has a sixth, and one of 1 a third."""
    (tmp_path / "tags.csv").write_text(
        f"{indexed[0] / 'a' / 'both.png'},tall,.5\n{indexed[0] / 'a' / 'both.png'},b,.1\n"
    )
    index = tmp_path / "tagged"
    index_images(artifact, [indexed[0]], index, objects=Seer(), tags=tmp_path / "tags.csv", device="cpu")
    kernel = Annotator(Kernel("equal", 0.0, 3), LINE, LINE, 9)
    for spot in open_flashlight(index, detector=Seer(), device="cpu", annotator=kernel).look(query, words=9).spots:
        shares = {word: share for word, share, _ in spot.words}
        assert shares["tall"] == pytest.approx(0.5 / 3)
        assert shares["b"] == pytest.approx(2.1 / 3)
        tagged = [hit for hit in spot.hits if hit.tags]
        assert {hit.path for hit in tagged} == {"a/both.png"}


def test_a_filter_hides_dots_and_orders_them(opened: Callable[..., Flashlight], query: Path) -> None:
    """The blue object covers 28 × 32 of 48 × 40 pixels, the red one 10 × 10."""
    sight = opened(dot_filter=FILTER).look(query)
    assert [(spot.object, spot.shown) for spot in sight.spots] == [("blue", True), ("red", False)]
    assert [spot.worth for spot in sight.spots] == pytest.approx([28 * 32 / 1920, 100 / 1920], abs=0.02)
    for spot in sight.spots:
        assert tuple(spot.signals) == SIGNALS
        assert spot.signals["area"] == spot.worth
        assert spot.signals["nearness"] == pytest.approx(-spot.hits[0].distance)
    assert opened(dot_filter=replace(FILTER, detector_id=Seer().detector_id)).look(query).spots == sight.spots


def test_signals_conform_by_the_name_of_the_class(opened: Callable[..., Flashlight], query: Path) -> None:
    kernel = Kernel("equal", 0.0, 3)
    for spot in opened(annotator=Annotator(kernel, LINE, LINE, 9)).look(query, k=3).spots:
        share = np.mean([hit.object == spot.object for hit in spot.hits])
        assert spot.signals["conformity"] == pytest.approx(share)


def test_only_the_surest_objects(opened: Callable[..., Flashlight], query: Path) -> None:
    assert [spot.object for spot in opened().look(query, most=1).spots] == ["red"]


def test_a_part_that_is_given_needs_no_detector(indexed: tuple[Path, Path], artifact: Path, query: Path) -> None:
    flashlight = Flashlight(open_index(indexed[1]), load_encoder(artifact, device="cpu"), None)
    (spot,) = flashlight.look(query, box=(2, 3, 12, 13)).spots
    assert (spot.object, spot.score, spot.signals, spot.shown) == (None, None, {}, True)
    assert spot.hits
    assert spot.words
    with pytest.raises(NoDetectorError, match="there is no detector; name one, or give the box to search by"):
        flashlight.look(query)
    with pytest.raises(ConfigError, match="leave the filter out"):
        Flashlight(open_index(indexed[1]), load_encoder(artifact, device="cpu"), None, dot_filter=FILTER)


def test_an_image_of_pillow(opened: Callable[..., Flashlight], query: Path) -> None:
    def told(sight: Sight) -> object:
        return [(spot.box, spot.hits, spot.words) for spot in sight.spots]

    with Image.open(query) as image:
        sight = opened().look(image.convert("RGB"))
    assert sight.photo == ""
    assert told(sight) == told(opened().look(query))


def test_a_photo_that_shows_nothing(opened: Callable[..., Flashlight], tmp_path: Path) -> None:
    sight = opened().look(photo(tmp_path / "plain.png", 4))
    assert sight.spots == ()
    assert sight.note == "no object is seen in the photo; search by all of it, or by a part of it"


def test_an_index_without_objects_answers_with_whole_images(
    artifact: Path, indexed: tuple[Path, Path], query: Path, tmp_path: Path
) -> None:
    index_images(artifact, [indexed[0]], tmp_path / "plain", device="cpu")
    sight = open_flashlight(tmp_path / "plain", detector=Seer(), device="cpu").look(query)
    assert {hit.object for spot in sight.spots for hit in spot.hits} == {None}
    assert {word for spot in sight.spots for word, *_ in spot.words} == {"a", "b"}
    assert all(spot.signals["conformity"] == 0 for spot in sight.spots)
    with pytest.raises(NoDetectorError):
        open_flashlight(tmp_path / "plain", device="cpu").look(query)


def test_what_does_not_belong_together(opened: Callable[..., Flashlight], indexed: tuple[Path, Path]) -> None:
    with pytest.raises(MismatchError, match="fitted with encoder"):
        opened(dot_filter=replace(FILTER, encoder_id="e" * 64))
    with pytest.raises(MismatchError):
        opened(detector=Seer("o" * 64))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be a whole number from 1 to 1,048,576, got 0"),
        ({"most": 0}, ValueError, "most must be a whole number from 1 to 1,048,576, got 0"),
        ({"words": 0}, ValueError, "words must be a whole number from 1 to 1,048,576, got 0"),
        (
            {"box": (0, 0, 99, 9)},
            BadImageError,
            r"query\.png' cannot be searched by its part: the box 0,0,99,9 does not",
        ),
    ],
)
def test_what_cannot_be_looked_at(
    opened: Callable[..., Flashlight], query: Path, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opened().look(query, **arguments)


def test_photos_that_fail(opened: Callable[..., Flashlight], tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match=r"none\.png' cannot be used"):
        opened().look(tmp_path / "none.png")
    photo(tmp_path / "bad.png", 1, fails=(0, 0, 5, 5))
    assert FAILS == (255, 0, 255)
    with pytest.raises(BadImageError, match=r"bad\.png' cannot be used: the detector fails on it: it does not like"):
        opened().look(tmp_path / "bad.png")
