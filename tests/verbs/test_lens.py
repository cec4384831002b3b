"""`dqh lens`, over photos of colours and a detector that sees them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dqh.collection import index_images
from dqh.discovery.annotate import Annotator, Kernel
from dqh.discovery.blend_rules import DEFAULT, SOURCES
from dqh.discovery.calibration import Calibration
from tests.collection.seer import Seer, photo, photos


@pytest.fixture
def index(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
    root = photos(tmp_path / "photos")
    (tmp_path / "tags.csv").write_text(f"{root / 'a' / 'none.png'},empty room\n")
    index_images(artifact, [root], tmp_path / "index", objects=Seer(), tags=tmp_path / "tags.csv", device="cpu")
    return tmp_path / "index"


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return photo(tmp_path / "query.png", 9, red=(2, 3, 20, 30), blue=(24, 4, 44, 36))


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """An annotator that is sure of everything."""
    line = Calibration((0.0,), (0.95,))
    Annotator(Kernel("equal", 0.0, 4), line, line, 9).save(tmp_path / "words.json")
    return tmp_path / "words.json"


def test_text(index: Path, query: Path, words: Path, dqh: Callable) -> None:
    status, out, err = dqh("lens", index, query, "--detector", "here", "-k", 2, "--words", words)
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == f"{query}  48 × 40"
    told = {line.split()[0]: line for line in lines[1:8]}
    assert told["words"] == "  words         a 0.95, b 0.95, empty room 0.95"
    assert told["category"] == "  category      a 0.95, by labels"
    assert told["objects"].startswith("  objects       red 0.90 2,3,20,30, blue 0.50 24,4,44,36")
    assert told["colours"].startswith("  colours       ")
    for name in SOURCES:
        assert told[name].startswith(f"  {name:<14}")
        assert "%: weight " in told[name]
    assert lines[8].split() == ["rank", "score", "source,", "its", "rank", "and", "score", "called", "path"]
    assert len(lines) == 11
    assert lines[9].split()[0] == "1"
    assert lines[9].endswith(".png")
    assert "milliseconds: decode " in err


def test_without_calibration_and_by_a_part(index: Path, query: Path, dqh: Callable) -> None:
    status, out, _ = dqh("lens", index, query, "--detector", "here", "--box", "2,3,20,30")
    assert status == 0
    assert "% of the answers" in out
    assert "  part          2,3,20,30\n" in out
    assert "  objects " not in out


def test_json(index: Path, query: Path, words: Path, dqh: Callable) -> None:
    status, out, _ = dqh("lens", index, query, query, "--detector", "here", "--json", "--words", words)
    seen, again = json.loads(out)["photos"]
    assert status == 0
    assert seen["results"] == again["results"]
    assert set(seen) == {"understanding", "facts", "sources", "results", "note", "seconds"}
    assert [source["name"] for source in seen["sources"]] == list(SOURCES)
    assert all(set(source) == {"name", "asked", "ratio", "because", "note", "hits"} for source in seen["sources"])
    assert sum(source["ratio"] for source in seen["sources"]) == pytest.approx(1)
    assert seen["understanding"]["objects"][0]["name"] == "red"
    first = seen["results"][0]
    assert Path(first["file"]).is_file()
    assert {"source", "rank", "score", "distance"} <= set(first["named"][0])
    tagged = [result for result in seen["results"] if result["path"] == "a/none.png"]
    assert tagged[0]["named"][0]["tags"] == {"empty room": 1.0}


def test_a_photo_without_objects_and_an_unsure_word(index: Path, tmp_path: Path, dqh: Callable) -> None:
    (tmp_path / "rules.yaml").write_text(
        DEFAULT.read_text().replace("sources:", "sources:\n  # ours", 1).replace("weight: ", "weight: 7")
    )
    plain = photo(tmp_path / "plain.png", 4)
    status, out, _ = dqh("lens", index, plain, "--detector", "here", "--rules", tmp_path / "rules.yaml")
    assert status == 0
    assert "  object_search not asked: no object is seen in the photo\n" in out
    assert "weight 7" in out


def test_nothing_found_is_told(index: Path, tmp_path: Path, dqh: Callable) -> None:
    (tmp_path / "rules.yaml").write_text(
        "dominant: {score: 0.5, area: 0.2, lead: 2}\nsources: {object_search: {weight: 1}}\n"
    )
    plain = photo(tmp_path / "plain.png", 4)
    status, out, err = dqh("lens", index, plain, "--detector", "here", "--rules", tmp_path / "rules.yaml")
    assert status == 0
    assert "  visual_search not asked: the table of rules does not name it\n" in out
    assert "rank" not in out
    assert "nothing found: no source was asked, or none has an answer; see why at each of them" in err


def test_a_picture(index: Path, query: Path, tmp_path: Path, dqh: Callable) -> None:
    status, _, _ = dqh("lens", index, query, "--detector", "here", "--plot", tmp_path / "out.png")
    assert status == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("-k", "0"), 2, "wanted a whole number from 1, got '0'"),
        (("--box", "5,5,5,9"), 2, "wanted X0,Y0,X1,Y1"),
        (("--box", "0,0,99,9"), 2, "the box 0,0,99,9 does not lie in its 48 × 40 pixels"),
        (("--plot", "out.jpg"), 2, "--plot must name a .png file"),
        (("--rules", "none.yaml"), 2, "no table of rules at none.yaml"),
        (("--words", "none.json"), 2, "no annotator at none.json; fit one and save it there"),
        (("--filter", "none"), 2, "no fitted look at none/look.json"),
        (("--filter", "a", "--words", "b"), 2, "not allowed with argument"),
        (("none.jpg",), 2, "none.jpg' cannot be used"),
        (("--engine", "none"), 2, "engine must be auto or one of"),
    ],
)
def test_usage(arguments: tuple[str, ...], status: int, message: str, index: Path, query: Path, dqh: Callable) -> None:
    found, out, err = dqh("lens", index, query, *arguments, "--detector", "here")
    assert (found, out) == (status, "")
    assert message in err


def test_no_index(query: Path, tmp_path: Path, dqh: Callable) -> None:
    status, out, err = dqh("lens", tmp_path / "none", query)
    assert (status, out) == (2, "")
    assert "no index at" in err
