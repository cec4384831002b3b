"""Understanding photos of colours, asking three sources, and blending what they answer."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.collection import index_images, search_images
from dqh.discovery.annotate import Annotation, Annotator, Kernel
from dqh.discovery.blend_rules import ANSWER_FACTS, SOURCES, fixed_rules, read_rules
from dqh.discovery.calibration import Calibration
from dqh.discovery.flashlight import Flashlight, open_flashlight
from dqh.discovery.lens import Lens, open_lens
from dqh.discovery.lens_answer import STAGES, LensAnswer, Source
from dqh.discovery.lens_sources import asked_words
from dqh.discovery.understanding import FACTS, Category, Dominance
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import BadImageError, ConfigError, MismatchError, NoDetectorError
from dqh.index.store import Header, Writer, open_index, remove
from tests.collection.seer import GREEN, RED, Seer, photo, photos

ALL = fixed_rules(dict.fromkeys(SOURCES, 1.0))
LINE = Calibration((0.0, 1.0), (0.0, 1.0))


def sure(confidence: float) -> Annotator:
    """Whatever the share, of the three nearest answers."""
    level = Calibration((0.0,), (confidence,))
    return Annotator(Kernel("equal", 0.0, 3), level, level, 9)


@pytest.fixture(scope="module")
def indexed(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of four photos with the labels a and b, and their index with objects and tags."""
    folder = tmp_path_factory.mktemp("collection")
    root = photos(folder / "photos")
    (folder / "tags.csv").write_text(f"{root / 'a' / 'none.png'},empty room\n{root / 'b' / 'red.png'},room,.5\n")
    index_images(artifact, [root], folder / "index", objects=Seer(), tags=folder / "tags.csv", device="cpu")
    return root, folder / "index"


@pytest.fixture
def opened(indexed: tuple[Path, Path]) -> Callable[..., Lens]:
    return lambda **more: open_lens(indexed[1], **{"detector": Seer(), "device": "cpu", "rules": ALL, **more})


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """A small red object and a large blue one."""
    return photo(tmp_path / "query.png", 9, red=(2, 3, 12, 13), blue=(16, 4, 44, 36))


def source(answer: LensAnswer, name: str) -> Source:
    return answer.sources[SOURCES.index(name)]


class TestUnderstanding:
    def test_objects_colours_and_category(self, opened: Callable[..., Lens], query: Path) -> None:
        """The blue box covers 28 · 32 of 48 · 40 pixels with a score of .5, the red one 100 with .9: 4.98 to 1."""
        seen = opened(annotator=sure(0.75)).ask(query).understanding
        assert (seen.photo, seen.size, seen.part) == (str(query), (48, 40), None)
        assert [(own.name, own.score) for own in seen.objects] == [
            ("red", pytest.approx(0.9)),
            ("blue", pytest.approx(0.5)),
        ]
        assert [own.area for own in seen.objects] == pytest.approx([100 / 1920, 896 / 1920])
        assert seen.dominant == seen.objects[1]
        assert seen.category == Category("b", 0.75, "labels") or seen.category == Category("a", 0.75, "labels")
        assert seen.colours[0].name == "blue"
        assert seen.annotation == seen.annotations[0].confidence == 0.75
        assert json.loads(json.dumps(seen.to_json(), allow_nan=False)) == seen.to_json()

    def test_words_are_labels_and_tags_of_what_looks_like_it(self, opened: Callable[..., Lens], query: Path) -> None:
        """Of four images with equal weights a and b have half each, a tag of one a quarter, of weight .5 half of it."""
        flat = Annotator(Kernel("equal", 0.0, 4), LINE, LINE, 9)
        seen = opened(annotator=flat).ask(query).understanding
        assert seen.annotations == (
            Annotation("a", 0.5, 0.5),
            Annotation("b", 0.5, 0.5),
            Annotation("empty room", 0.25, 0.25),
            Annotation("room", 0.125, 0.125),
        )
        assert opened(annotator=flat).ask(query, words=1).understanding.annotations == (Annotation("a", 0.5, 0.5),)

    def test_without_calibration_a_share_of_those_that_are_called_something(
        self, opened: Callable[..., Lens], query: Path
    ) -> None:
        """All four answers have words: n s / (n w + 1) = 4 s / 5."""
        seen = opened().ask(query).understanding
        assert seen.annotations[0].confidence is None
        assert seen.annotation == pytest.approx(4 * seen.annotations[0].share / 5)

    def test_nearness(self, opened: Callable[..., Lens], indexed: tuple[Path, Path], query: Path) -> None:
        """1 − nearest / mean: of a photo of the index 1, since its own distance is 0."""
        assert opened().ask(indexed[0] / "b" / "red.png").understanding.nearness == 1
        distances = [hit.distance for hit in search_images(indexed[1], [query], k=4, device="cpu").found.hits[0]]
        assert opened().ask(query).understanding.nearness == pytest.approx(1 - distances[0] / np.mean(distances))

    def test_a_part_that_is_given_is_the_object(self, indexed: tuple[Path, Path], artifact: Path, query: Path) -> None:
        """No detector is needed, and colours are those of the part."""
        flashlight = Flashlight(open_index(indexed[1]), load_encoder(artifact, device="cpu"), None)
        answer = Lens(flashlight, rules=ALL).ask(query, box=(2, 3, 12, 13))
        seen = answer.understanding
        (part,) = seen.objects
        assert (seen.part, part.box, part.name, part.score) == ((2, 3, 12, 13), (2, 3, 12, 13), None, None)
        assert seen.dominant is part
        assert [(colour.name, colour.share) for colour in seen.colours] == [("red", 1.0)]
        assert [own.asked for own in answer.sources] == [True, True, True]
        with_objects = search_images(indexed[1], [query], box=(2, 3, 12, 13), objects=True, k=9, device="cpu")
        assert [(hit.path, hit.object) for hit in source(answer, "object_search").hits] == [
            (hit.path, hit.object) for hit in with_objects.found.hits[0]
        ]


class TestSources:
    def test_visual_search_is_that_of_whole_images(
        self, opened: Callable[..., Lens], indexed: tuple[Path, Path], query: Path
    ) -> None:
        hits = source(opened().ask(query), "visual_search").hits
        answers = search_images(indexed[1], [query], k=9, device="cpu").found.hits[0]
        assert [(hit.id, hit.path, hit.distance) for hit in hits] == [
            (hit.id, hit.path, hit.distance) for hit in answers
        ]
        assert hits[0].score == 1
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    def test_object_search_answers_images_by_the_dominant_object(
        self, opened: Callable[..., Lens], indexed: tuple[Path, Path], query: Path
    ) -> None:
        answer = opened().ask(query)
        assert answer.understanding.dominant is not None
        box = answer.understanding.dominant.box
        wanted = search_images(indexed[1], [query], box=box, objects=True, k=9, device="cpu").found.hits[0]
        hits = source(answer, "object_search").hits
        assert [hit[:3] + hit[5:8] for hit in hits] == [
            (hit.id, hit.path, hit.labels, hit.distance, hit.object, hit.box) for hit in wanted
        ]

    def test_object_search_by_all_objects_where_none_is_dominant(
        self, opened: Callable[..., Lens], indexed: tuple[Path, Path]
    ) -> None:
        """Red (.9) and green (.7) of a photo of the index: itself first, by the red one; each image once."""
        answer = opened().ask(indexed[0] / "a" / "both.png")
        assert answer.understanding.dominant is None
        hits = source(answer, "object_search").hits
        assert (hits[0].path, hits[0].object, hits[0].box, hits[0].score) == ("a/both.png", "red", RED, 1.0)
        assert len({hit.path for hit in hits}) == len(hits) == 3
        assert GREEN not in [hit.box for hit in hits]

    def test_image_search_by_words_then_by_looks(
        self, opened: Callable[..., Lens], indexed: tuple[Path, Path], query: Path
    ) -> None:
        """Every image has one of two words that are equally sure, so that looks alone order those with the same."""
        flat = Annotator(Kernel("equal", 0.0, 4), LINE, LINE, 9)
        answer = opened(annotator=flat).ask(query)
        hits = source(answer, "image_search").hits
        near = [hit.path for hit in source(answer, "visual_search").hits]
        for label in ("a", "b"):
            own = [hit.path for hit in hits if hit.labels == (label,) and len(hit.words) == 1]
            assert own == [path for path in near if path in own]
        by_path = {hit.path: hit for hit in source(answer, "visual_search").hits}
        assert all(hit.distance == pytest.approx(by_path[hit.path].distance) for hit in hits)
        (both,) = [hit for hit in hits if len(hit.words) == 2]
        assert (both.path, both.words, both) == ("a/none.png", ("a", "empty room"), hits[0])

    def test_results_are_a_blend_of_all(self, opened: Callable[..., Lens], query: Path) -> None:
        answer = opened().ask(query, k=3)
        assert len(answer.results) == 3
        assert answer.note == ""
        assert tuple(answer.seconds) == STAGES
        for result in answer.results:
            for naming in result.named:
                assert source(answer, naming.source).hits[naming.rank - 1] == naming.hit
                assert naming.hit.path == result.path
            parts = [61 / (60 + naming.rank) / 3 for naming in result.named]
            assert result.score == pytest.approx(sum(parts))
        assert sum(own.ratio for own in answer.sources) == pytest.approx(1)

    def test_facts_of_answers_compare_their_distances(self, opened: Callable[..., Lens], query: Path) -> None:
        """Mean distance of the nearest images over that of as many answers of the other source."""
        answer = opened().ask(query)
        assert answer.facts.keys() == FACTS.keys() | ANSWER_FACTS.keys()
        near = [hit.distance for hit in source(answer, "visual_search").hits]
        for fact, name in (("object_nearness", "object_search"), ("word_nearness", "image_search")):
            own = [hit.distance for hit in source(answer, name).hits]
            assert answer.facts[fact] == pytest.approx(np.mean(near[: len(own)]) / np.mean(own))
        without = opened(rules=fixed_rules({"visual_search": 1})).ask(query)
        assert (without.facts["object_nearness"], without.facts["word_nearness"]) == (0, 0)

    def test_an_unsure_word_is_not_looked_for(self, opened: Callable[..., Lens], query: Path) -> None:
        """Nor is the text index made; with a sure one the ratio of image search rises."""
        lens = opened(annotator=sure(0.05), rules=None)
        answer = lens.ask(query)
        assert not source(answer, "image_search").asked
        assert source(answer, "image_search").hits == ()
        assert "annotation 0.05, wanted >= " in source(answer, "image_search").because[0]
        assert "word_search" not in vars(lens)
        known = source(opened(annotator=sure(1.0), rules=None).ask(query), "image_search")
        assert known.asked
        assert known.ratio > 0


def test_a_photo_that_shows_nothing(opened: Callable[..., Lens], tmp_path: Path) -> None:
    answer = opened().ask(photo(tmp_path / "plain.png", 4))
    own = source(answer, "object_search")
    assert (own.asked, own.because) == (False, ("no object is seen in the photo",))
    assert answer.understanding.objects == ()
    assert answer.results


def test_without_a_detector(indexed: tuple[Path, Path], artifact: Path, query: Path) -> None:
    lens = Lens(Flashlight(open_index(indexed[1]), load_encoder(artifact, device="cpu"), None), rules=ALL)
    answer = lens.ask(query)
    assert source(answer, "object_search").because == ("there is no detector that would see objects in the photo",)
    assert {naming.source for result in answer.results for naming in result.named} == {"visual_search", "image_search"}


def test_an_index_without_objects_labels_and_tags(
    artifact: Path, indexed: tuple[Path, Path], query: Path, tmp_path: Path
) -> None:
    """The category is then the class of the dominant object, and where there is none that of the surest one."""
    files = sorted((indexed[0] / "a").iterdir())
    index_images(artifact, files, tmp_path / "plain", device="cpu")
    lens = open_lens(tmp_path / "plain", detector=Seer(), device="cpu", rules=ALL)
    answer = lens.ask(query)
    assert source(answer, "object_search").because == ("the index was made without a detector, and has no objects",)
    assert source(answer, "image_search").because == (
        "none of the images that look like the photo has a label or a tag",
    )
    assert answer.understanding.annotations == ()
    assert answer.understanding.category == Category("blue", pytest.approx(0.5), "detector")
    none = replace(ALL, dominant=Dominance(area=0.9))
    assert Lens(lens.flashlight, rules=none).ask(query).understanding.category == Category(
        "red", pytest.approx(0.9), "detector"
    )
    assert [result.path for result in answer.results] == [hit.path for hit in source(answer, "visual_search").hits]


def test_an_empty_index_says_so(artifact: Path, indexed: tuple[Path, Path], query: Path, tmp_path: Path) -> None:
    with Writer(tmp_path / "empty", Header.of(indexed[1], open_index(indexed[1]).version.manifest)) as writer:
        writer.commit()
    answer = open_lens(tmp_path / "empty", artifact=artifact, detector=Seer(), device="cpu").ask(query)
    assert answer.results == ()
    assert answer.note == "the index has no rows, so that nothing answers; add images with dqh index"
    assert source(answer, "visual_search").note == "the index has no rows"
    assert answer.understanding.nearness is None


def test_rules_that_ask_nobody_say_so(opened: Callable[..., Lens], tmp_path: Path) -> None:
    answer = opened(rules=fixed_rules({"object_search": 1})).ask(photo(tmp_path / "plain.png", 4))
    assert answer.results == ()
    assert answer.note == "no source was asked, or none has an answer; see why at each of them"


def test_the_newest_version_appears(artifact: Path, query: Path, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos")
    index_images(artifact, [root], tmp_path / "index", objects=Seer(), device="cpu")
    lens = open_lens(tmp_path / "index", detector=Seer(), device="cpu", rules=ALL)
    before = lens.ask(query)
    assert lens.newest() is lens
    remove(tmp_path / "index", paths=["a/none.png", "b/small.png"])
    after = lens.newest()
    assert after is not lens
    assert {result.path for result in after.ask(query).results} == {"a/both.png", "b/red.png"}
    removed = {"a/none.png", "b/small.png"}
    assert removed & {hit.path for hit in source(before, "image_search").hits}
    assert not removed & {hit.path for hit in source(after.ask(query), "image_search").hits}
    assert lens.ask(query).results == before.results  # whoever asked before is not disturbed
    assert after.flashlight.encoder is lens.flashlight.encoder


def test_an_image_of_pillow(opened: Callable[..., Lens], query: Path) -> None:
    with Image.open(query) as image:
        answer = opened().ask(image.convert("RGB"))
    assert answer.understanding.photo == ""
    assert answer.results == opened().ask(query).results


def test_words_that_are_looked_for() -> None:
    annotations = [
        Annotation("a", 0.9, 0.8),
        Annotation("b", 0.5, 0.4),
        Annotation("c", 0.4, 0.3),
        Annotation("d", 0.5, None),
    ]
    assert asked_words(annotations) == [("a", 0.8), ("b", 0.4), ("d", 0.5)]
    assert asked_words([Annotation("a", 0.5, 0.0)]) == asked_words([]) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be a whole number from 1 to 1,048,576, got 0"),
        ({"words": 0}, ValueError, "words must be a whole number from 1 to 1,048,576, got 0"),
        (
            {"box": (0, 0, 99, 9)},
            BadImageError,
            r"query\.png' cannot be searched by its part: the box 0,0,99,9 does not",
        ),
    ],
)
def test_what_cannot_be_asked(
    opened: Callable[..., Lens], query: Path, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opened().ask(query, **arguments)


def test_what_does_not_fit(
    opened: Callable[..., Lens], indexed: tuple[Path, Path], query: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadImageError, match=r"none\.png' cannot be used"):
        opened().ask(tmp_path / "none.png")
    with pytest.raises(MismatchError):
        opened(detector=Seer("o" * 64))
    with pytest.raises(ConfigError, match="no table of rules at"):
        opened(rules=tmp_path / "none.yaml")
    with pytest.raises(NoDetectorError, match="does not say where the detector of its objects is"):
        open_lens(indexed[1], device="cpu")
    assert opened(rules=None).rules == read_rules()
    assert open_flashlight(indexed[1], detector=Seer(), device="cpu").rank == opened().flashlight.rank
