"""Images as queries of an index, and the four lines of a program."""

import ast
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dqh
from dqh.artifact import golden_files, record_metrics, save_artifact
from dqh.artifact.ranking_choice import RankingChoice
from dqh.collection import index_images, search_images
from dqh.errors import ArtifactError, MismatchError, NoDetectorError
from tests.artifact.conftest import images, make
from tests.artifact.test_lengths import several
from tests.collection.seer import RED, Seer, photo, photos


def test_an_image_of_the_collection_finds_itself(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(6), tmp_path / "index"
    index_images(artifact, [root], index, device="cpu")
    queries = [root / "b" / "3.png", root / "a" / "0.png"]
    answers = search_images(index, queries, k=2, device="cpu")
    assert [hits[0].path for hits in answers.found.hits] == ["b/3.png", "a/0.png"]
    assert [hits[0].code_distance for hits in answers.found.hits] == [0, 0]
    assert answers.queries == tuple(map(str, queries))
    assert answers.root == str(root)
    assert list(answers.seconds) == ["open", "load", "encode", "filter", "coarse", "fine", "rows"]
    (hits,) = search_images(index, queries[:1], k=6, where="label = 'a'", device="cpu").found.hits
    assert {hit.labels for hit in hits} == {("a",)}
    assert len(hits) == 3


def test_the_artifact_says_what_ranks(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index, own = folder(6), tmp_path / "index", tmp_path / "artifact"
    shutil.copytree(artifact, own)
    index_images(own, [root], index, device="cpu")

    def ranked(**arguments: Any) -> tuple[str, str, str]:
        answers = search_images(index, [root / "b" / "3.png"], k=2, artifact=own, device="cpu", **arguments)
        return answers.found.rank, answers.ranking, answers.found.rule

    assert ranked()[0] == "fine"
    assert "does not say" in ranked()[1]
    choice = RankingChoice("codes", "mAP@all", 0.9, 0.8, queries=10, items=100, pool=50)
    record_metrics(own, {"ranking": {"choice": choice.to_json(), "reason": None}})
    assert ranked()[:2] == ("codes", f"by codes alone, as chosen by {choice}")
    assert ranked()[2].startswith("the 2 nearest")
    assert ranked(rank="fine")[2].startswith("the 50 nearest")
    assert ranked(pool=3)[0] == "fine"
    assert ranked(radius=4.0)[0] == "codes"
    record_metrics(own, {"ranking": {"choice": replace(choice, rank="fine").to_json(), "reason": None}})
    assert ranked()[0] == "fine"
    assert ranked()[2].startswith("the 50 nearest")
    assert ranked(rank="codes")[:2] == ("codes", "by codes alone, as asked for")


@pytest.mark.parametrize(
    ("arguments", "device"),
    [({}, None), ({"device": "cuda:1"}, "cuda:1"), ({"device": "cpu"}, "cpu"), ({"runtime": "onnx"}, "cpu")],
)
def test_codes_are_searched_where_the_encoder_computes(
    arguments: dict[str, Any], device: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is opened for the device; ONNX Runtime computes on the CPU."""

    class Opened(Exception):  # noqa: N818
        pass

    def opened(path: Path, **options: Any) -> None:
        raise Opened(options)

    monkeypatch.setattr("dqh.collection.searching.open_index", opened)
    with pytest.raises(Opened) as told:
        search_images("index", [], **arguments)
    assert told.value.args == ({"engine": "auto", "way": None, "device": device},)


def test_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="module 'dqh' has no attribute 'load'"):
        _ = dqh.load
    assert {"load_encoder", "open_index"} <= set(dir(dqh))


def test_the_four_lines_that_the_package_shows(
    artifact: Path,
    folder: Callable[[int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As they stand in its docstring, where the files that they name are there."""
    assert dqh.__doc__ is not None
    lines = [line.strip() for line in dqh.__doc__.splitlines() if line.startswith("    ")]
    assert len(lines) == 4
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    (tmp_path / "runs" / "latest" / "artifact").symlink_to(artifact)
    (folder(5) / "a").rename(tmp_path / "photos" / "dress")
    index_images(artifact, [tmp_path / "photos"], tmp_path / "photos.index", device="cpu")
    (tmp_path / "query.jpg").write_bytes((tmp_path / "photos" / "dress" / "2.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {"dqh": dqh})
    answers = ast.literal_eval(capsys.readouterr().out)
    assert answers[0] == ("dress/2.png", 0.0)
    assert sorted(path for path, _ in answers) == ["dress/0.png", "dress/2.png", "dress/4.png"]


def test_another_encoder_is_refused(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root = folder(1)
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    other = make(seed=1)
    save_artifact(other, tmp_path / "other", golden=golden_files(other, images()))
    with pytest.raises(MismatchError, match=f" with {other.encoder_id}; use the artifact that it was made with"):
        search_images(tmp_path / "index", [root / "a" / "0.png"], artifact=tmp_path / "other", device="cpu")


def test_an_index_remembers_its_length(folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, path, index = folder(6), tmp_path / "artifact", tmp_path / "index"
    save_artifact(artifact := several(), path, golden=golden_files(artifact, images()))
    index_images(path, [root], index, bits=8, device="cpu")
    answers = search_images(index, [root / "b" / "3.png"], k=2, device="cpu")
    assert answers.found.hits[0][0].path == "b/3.png"
    assert dqh.open_index(index).version.manifest.encoder_id == artifact.of_length(8).encoder_id
    assert index_images(path, [root], index, device="cpu").unchanged == 6
    with pytest.raises(MismatchError, match="was made with encoder"):
        index_images(path, [root], index, bits=12, device="cpu")
    with pytest.raises(ArtifactError, match="has codes of 8, 12, 20 bits, got bits=9"):
        index_images(path, [root], tmp_path / "other", bits=9, device="cpu")
    encoded = dqh.load_encoder(path, bits=20, device="cpu").encode(images())
    assert (encoded.codes.shape, encoded.encoder_id) == ((3, 3), artifact.of_length(20).encoder_id)


@pytest.fixture
def objects(artifact: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Folder of photos of colours, and their index with objects."""
    root = photos(tmp_path / "photos")
    index_images(artifact, [root], tmp_path / "index", objects=Seer(), device="cpu")
    return root, tmp_path / "index"


def test_whole_images_answer_unless_objects_are_asked_for(objects: tuple[Path, Path]) -> None:
    root, index = objects
    queries = [root / "b" / "red.png", root / "a" / "both.png"]
    answers = search_images(index, queries, k=4, device="cpu")
    assert [{hit.path for hit in hits} for hits in answers.found.hits] == [
        {"a/both.png", "a/none.png", "b/red.png", "b/small.png"}
    ] * 2
    assert all(hit.box is None and hit.object is None for hits in answers.found.hits for hit in hits)
    answers = search_images(index, queries, k=4, objects=True, device="cpu")
    names = {"a/both.png", "b/red.png", "b/small.png"}
    assert [{hit.path for hit in hits} for hits in answers.found.hits] == [names] * 2
    assert all(hit.box is not None and hit.object in ("red", "green", "blue") for hit in answers.found.hits[0])
    assert (answers.boxes, answers.note) == ((None, None), "")


@pytest.mark.parametrize("part", [{"box": tuple(map(float, RED))}, {"dot": (9.0, 9.0)}])
def test_an_object_finds_itself(objects: tuple[Path, Path], part: dict[str, Any]) -> None:
    """By its box or by a dot in it, for which no detector is opened; where it lies is drawn."""
    root, index = objects
    answers = search_images(index, [root / "a" / "both.png"], k=1, objects=True, device="cpu", **part)
    ((hit,),) = answers.found.hits
    assert (hit.path, hit.object, hit.box, hit.code_distance) == ("a/both.png", "red", RED, 0)
    assert hit.distance < 1e-6  # the mean of pixels is taken over another batch
    assert answers.boxes == (RED,)
    stages = ["open", "load", *["dot"] * ("dot" in part), "encode", "filter", "coarse", "fine", "rows"]
    assert list(answers.seconds) == stages


def test_each_query_has_the_object_under_its_own_dot(objects: tuple[Path, Path], tmp_path: Path) -> None:
    root, index = objects
    other = photo(tmp_path / "query.png", 5, blue=(4, 4, 40, 40))
    queries = [root / "a" / "both.png", other]
    answers = search_images(index, queries, dot=(9, 9), objects=True, detector=Seer(), k=1, device="cpu")
    assert answers.boxes == (RED, (4, 4, 40, 40))
    alone = search_images(index, [other], box=(4, 4, 40, 40), objects=True, k=1, device="cpu")
    assert answers.found.hits[1][0][:5] == alone.found.hits[0][0][:5]
    assert search_images(index, [], dot=(9, 9), device="cpu").found.hits == ()


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ({"objects": True, "where": "object = 'dog'"}, "no object fits the filter; the index has objects of blue, gr"),
        ({"where": "object = 'red'"}, "no whole image fits the filter; --objects searches the objects in them"),
        ({"where": "label = 'a' and id > 99"}, "no whole image fits the filter"),
        ({"objects": True, "where": "object = 'red'"}, ""),
        ({"objects": True, "radius": 0.0, "where": "object = 'dog'"}, ""),
    ],
)
def test_why_nothing_was_found(objects: tuple[Path, Path], arguments: dict[str, Any], note: str) -> None:
    root, index = objects
    answers = search_images(index, [root / "b" / "red.png"], device="cpu", **arguments)
    assert answers.note.startswith(note)
    assert bool(note) == bool(answers.note)
    assert bool(note) <= (answers.found.hits == ((),))


def test_an_index_whose_detector_saw_nothing(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(2), tmp_path / "index"
    index_images(artifact, [root], index, objects=Seer(), device="cpu")
    answers = search_images(index, [root / "a" / "0.png"], objects=True, device="cpu")
    assert answers.found.hits == ((),)
    assert answers.note == "the index has no objects: its detector saw none in its images"
    assert len(search_images(index, [root / "a" / "0.png"], device="cpu").found.hits[0]) == 2


def test_objects_where_there_are_none_and_other_detectors(
    artifact: Path, folder: Callable[[int], Path], objects: tuple[Path, Path], tmp_path: Path
) -> None:
    root, index = objects
    index_images(artifact, [root], tmp_path / "plain", device="cpu")
    query = photo(tmp_path / "query.png", 5, blue=(4, 4, 40, 40))
    with pytest.raises(ValueError, match="plain has no objects, it was made without a detector; put the images and"):
        search_images(tmp_path / "plain", [query], objects=True, device="cpu")
    with pytest.raises(NoDetectorError, match="no detector is named; name one: --detector DETECTOR"):
        search_images(tmp_path / "plain", [query], dot=(9, 9), device="cpu")
    found = search_images(tmp_path / "plain", [query], dot=(9, 9), detector=Seer("o" * 64), device="cpu")
    assert found.boxes == ((4, 4, 40, 40),)
    with pytest.raises(MismatchError, match=r"holds objects of detector 5ee2.*, detector ooo"):
        search_images(index, [query], dot=(9, 9), detector=Seer("o" * 64), device="cpu")
    with pytest.raises(NoDetectorError, match="does not say where the detector of its objects is; name it: --detector"):
        search_images(index, [query], dot=(9, 9), device="cpu")
    with pytest.raises(ValueError, match=r"give box or dot, got box=\(0, 0, 9, 9\) and dot=\(9, 9\)"):
        search_images(index, [query], box=(0, 0, 9, 9), dot=(9, 9), device="cpu")
