"""`dqh look`, over photos of colours and a detector that sees them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.collection import index_images
from dqh.discovery.annotate import Annotator, Kernel
from dqh.discovery.calibration import Calibration
from dqh.discovery.dot_filter import Cut, DotFilter
from tests.collection.seer import Seer, photo, photos
from tests.discovery.held import Place, make


@pytest.fixture
def index(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
    index_images(artifact, [photos(tmp_path / "photos")], tmp_path / "index", objects=Seer(), device="cpu")
    return tmp_path / "index"


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return photo(tmp_path / "query.png", 9, red=(2, 3, 20, 30), blue=(24, 4, 44, 36))


def test_text(index: Path, query: Path, dqh: Callable) -> None:
    status, out, err = dqh("look", index, query, "--detector", "here", "-k", 2)
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == f"{query}  48 × 40"
    assert lines[1].startswith("  • 11,16.5  red 0.90  2,3,20,30  ")
    assert "of the answers" in lines[1]
    assert lines[4].startswith("  • 34,20  blue 0.50  24,4,44,36")
    assert len(lines) == 7
    assert "milliseconds: decode " in err


def test_json_with_words_and_a_filter(index: Path, query: Path, tmp_path: Path, dqh: Callable) -> None:
    line = Calibration((0.0, 1.0), (0.25, 0.75))
    Annotator(Kernel("equal", 0.0, 3), line, line, 9).save(tmp_path / "words.json")
    table = (Cut(0.7, 0.5, 1.0, 1.0),)
    DotFilter(("score",), (0.0,), (1.0,), (1.0,), 0.0, 0.7, table, 9, 9).save(tmp_path / "dots.json")
    files = ("--words", tmp_path / "words.json", "--dots", tmp_path / "dots.json")
    status, out, _ = dqh("look", index, query, "--detector", "here", "--json", *files)
    (seen,) = json.loads(out)["photos"]
    assert (status, seen["photo"], seen["size"]) == (0, str(query), [48, 40])
    red, blue = seen["spots"]
    assert (red["object"], red["shown"], blue["object"], blue["shown"]) == ("red", True, "blue", False)
    assert red["worth"] == pytest.approx(0.9)
    assert set(red["signals"]) == {"score", "nearness", "conformity", "agreement", "area", "margin"}
    assert all(0.25 <= word["confidence"] <= 0.75 for word in red["words"])
    assert Path(red["hits"][0]["file"]).is_file()
    status, out, err = dqh("look", index, query, "--detector", "here", *files)
    assert "•" in out
    assert "• 34,20  blue" not in out
    assert "the filter hides 1 of 2 dots; --all shows them" in err
    status, out, _ = dqh("look", index, query, "--detector", "here", *files, "--all")
    assert "blue 0.50  24,4,44,36  worth +0.50, hidden" in out


def test_a_picture(index: Path, query: Path, tmp_path: Path, dqh: Callable) -> None:
    status, _, _ = dqh("look", index, query, query, "--detector", "here", "--plot", tmp_path / "out.png")
    assert status == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    status, out, err = dqh("look", index, query, "--detector", "here", "--plot", tmp_path / "out.jpg")
    assert (status, out) == (2, "")
    assert "--plot must name a .png file" in err


def test_a_part_that_is_given(index: Path, query: Path, dqh: Callable) -> None:
    status, out, _ = dqh("look", index, query, "--detector", "here", "--box", "2,3,20,30", "-k", 1)
    assert status == 0
    assert "• 11,16.5  the part given  2,3,20,30" in out


def test_a_part_that_is_given_needs_no_detector(
    artifact: Path, tmp_path: Path, query: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector that the index remembers has gone."""
    monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
    root, gone = photos(tmp_path / "photos"), tmp_path / "gone"
    index_images(artifact, [root], tmp_path / "index", objects=gone, device="cpu")
    monkeypatch.undo()
    status, out, err = dqh("look", tmp_path / "index", query)
    assert (status, out) == (2, "")
    assert "which is not there; name it: --detector DETECTOR" in err
    status, out, _ = dqh("look", tmp_path / "index", query, "--box", "2,3,20,30", "-k", 1)
    assert status == 0
    assert "the part given" in out


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_that_is_turned_finds_itself(artifact: Path, tmp_path: Path, dqh: Callable, orientation: int) -> None:
    """By the box of all of it: it is not turned twice."""
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (16, 16, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "turned").mkdir()
    for name, own in (("plain", Image.Exif()), ("own", exif)):
        Image.fromarray(pixels).save(tmp_path / "turned" / f"{name}.png", exif=own)
    index_images(artifact, [tmp_path / "turned"], tmp_path / "index", device="cpu")
    asked = ("look", tmp_path / "index", tmp_path / "turned" / "own.png", "--box", "0,0,64,64", "--json")
    status, out, _ = dqh(*asked)
    assert status == 0
    assert json.loads(out)["photos"][0]["spots"][0]["hits"][0]["path"] == "own.png"


def test_a_photo_without_objects(index: Path, tmp_path: Path, dqh: Callable) -> None:
    status, out, err = dqh("look", index, photo(tmp_path / "plain.png", 4), "--detector", "here")
    assert (status, len(out.splitlines())) == (0, 1)
    assert "no object is seen in the photo; search by all of it, or by a part of it" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--most", "0"), 2, "wanted a whole number from 1, got '0'"),
        (("--box", "5,5,5,9"), 2, "wanted X0,Y0,X1,Y1"),
        (("--box", "0,0,99,9"), 2, "the box 0,0,99,9 does not lie in its 48 × 40 pixels"),
        (("--box", "0,0,9,9", "--dots", "dots.json"), 2, "--dots chooses among what a detector sees"),
        (("--words", "none.json"), 2, "no annotator at none.json; fit one and save it there"),
        (("--dots", "none.json"), 2, "no dot filter at none.json"),
        (("none.jpg",), 2, "none.jpg' cannot be used"),
        (("--filter", "none"), 2, "no fitted look at none/look.json; fit one: dqh look INDEX --fit BOXES --out DIR"),
        (("--filter", "a", "--dots", "b"), 2, "--filter holds what --dots names; leave one of them off"),
        (("--share", "0.5"), 2, "--share belongs to --fit BOXES; give both, or neither"),
        (("--fit", "a", "--out", "b"), 2, "--fit looks at the photos of its boxes alone; leave photos off"),
    ],
)
def test_usage(arguments: tuple[str, ...], status: int, message: str, index: Path, query: Path, dqh: Callable) -> None:
    found, out, err = dqh("look", index, query, *arguments, "--detector", "here")
    assert (found, out) == (status, "")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "give photos to look at, or --fit BOXES --out DIR"),
        (("--fit", "a"), 2, "what is fitted goes into a folder: give --out DIR"),
        (
            ("--fit", "a", "--out", "b", "--box", "0,0,9,9"),
            2,
            "--fit looks at the photos of its boxes alone; leave --box",
        ),
        (("--fit", "none.json", "--out", "b"), 2, "no boxes at none.json; give a JSON file of boxes"),
        (("--fit", "a", "--out", "b", "--share", "2"), 2, "wanted a number above 0 and at most 1, got '2'"),
        (("--fit", "a", "--out", "b", "--share", ".5", "--precision", ".5"), 2, "not allowed with argument"),
        (("--fit", "a", "--out", "b", "--right", "half"), 2, "invalid choice: 'half'"),
        (("--fit", "a", "--out", "b", "-k", "7"), 2, "--fit looks at the photos of its boxes alone; leave -k off"),
        (("--fit", "a", "--out", "b", "--most", "3"), 2, "leave --most off"),
        (("--fit", "a", "--out", "b", "--all"), 2, "leave --all off"),
    ],
)
def test_usage_without_photos(
    arguments: tuple[str, ...], status: int, message: str, index: Path, dqh: Callable
) -> None:
    found, out, err = dqh("look", index, *arguments, "--detector", "here")
    assert (found, out) == (status, "")
    assert message in err


class TestFit:
    @pytest.fixture
    def place(self, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
        monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
        return make(artifact, tmp_path)

    @pytest.mark.parametrize("name", ["look.json", "mine.txt"])
    def test_a_folder_that_is_not_empty_is_refused_before_anything_is_looked_at(
        self, place: Place, tmp_path: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr("dqh.discovery.fitting.fit_look", None)
        (tmp_path / "look").mkdir()
        (tmp_path / "look" / name).touch()
        status, out, err = dqh(
            "look", place.index, "--fit", place.photos, "--detector", "here", "--out", tmp_path / "look"
        )
        assert (status, out) == (2, "")
        assert {"look.json": "holds a fitted look already", "mine.txt": "mine.txt lies there"}[name] in err

    def test_fitted_reported_and_used(self, place: Place, tmp_path: Path, dqh: Callable) -> None:
        fit = ("look", place.index, "--fit", place.photos, "--detector", "here", "--device", "cpu")
        status, out, _ = dqh(*fit, "--out", tmp_path / "look", "--right", "object")
        assert status == 0
        lines = out.splitlines()
        assert lines[0].startswith(f"{tmp_path / 'look'}: words by ")
        assert " objects of " in lines[0]
        assert "the first is right for " in lines[0]
        assert lines[1] == f"{tmp_path / 'look'}: dots by 48 of 24 photos"
        assert any(
            line.startswith("  right is on an object of its class: ") and "which it tells" in line for line in lines
        )
        assert sum(line.startswith("  * ") for line in lines) == 1
        assert dqh("verify", tmp_path / "look")[:2] == (
            0,
            f"{tmp_path / 'look'}: fitted to held, words and dots by score, nearness, conformity, agreement, area, "
            "margin, every hash holds\n",
        )
        photo = place.photos / "00.png"
        look = ("look", place.index, photo, "--detector", "here", "--filter", tmp_path / "look", "--json")
        (seen,) = json.loads(dqh(*look)[1])["photos"]
        assert all(spot["worth"] is not None for spot in seen["spots"])
        assert all(word["confidence"] is not None for spot in seen["spots"] for word in spot["words"])
        told = json.loads(dqh(*fit, "--out", tmp_path / "more", "--json", "--precision", 0.5)[1])
        assert (told["folder"], told["data"]["photos"]) == (str(tmp_path / "more"), 24)
        assert told["measured"]["dots"]["right"] == "search"
        status, out, err = dqh(*fit, "--out", tmp_path / "look")
        assert (status, out) == (2, "")
        assert "holds a fitted look already" in err

    def test_a_list_and_a_map(self, place: Place, tmp_path: Path, dqh: Callable) -> None:
        (tmp_path / "list.txt").write_text("".join(f"{number:02}.png\n" for number in range(12)))
        (tmp_path / "map.csv").write_text("red,rde\n")
        fit = ("look", place.index, "--fit", place.photos / "annotations.json", "--detector", "here", "--out", "new")
        status, out, err = dqh(*fit, "--list", tmp_path / "list.txt", "--class-map", tmp_path / "map.csv")
        assert (status, out) == (2, "")
        assert "did you mean 'red'?" in err
        assert not Path("new").exists()

    def test_damage(self, place: Place, tmp_path: Path, dqh: Callable) -> None:
        dqh("look", place.index, "--fit", place.photos, "--detector", "here", "--out", tmp_path / "look")
        (tmp_path / "look" / "words.json").write_text("{}")
        status, out, err = dqh("verify", tmp_path / "look")
        assert (status, out) == (1, "")
        assert "words.json is not the file that look.json names; copy the folder again" in err
