"""`dqh index`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dqh.errors import ConfigError
from dqh.locks import locked_file
from dqh.sealed import seal
from tests.collection.seer import Seer, photos


def test_index_says_what_it_did(artifact: Path, index: Path, folder: Callable[[int], Path], dqh: Callable) -> None:
    status, out, _ = dqh("index", artifact, folder(6), "--out", index)
    assert (status, out) == (
        0,
        f"1 added, 0 replaced, 0 relabelled, 5 unchanged, 0 unusable: 6 images in version 2 of {index}\n",
    )
    (folder(6) / "bad.jpg").write_text("text")
    status, out, err = dqh("index", artifact, folder(6), "--out", index, "--json")
    assert (status, json.loads(out)["skipped"], json.loads(out)["rows"]) == (3, 1, 6)
    assert "1 of 7 images cannot be used" in err
    status, out, err = dqh("index", artifact, folder(6), "--out", index, "--json", "--max-bad-fraction", 0.5)
    assert (status, json.loads(out)["skipped"], json.loads(out)["unchanged"]) == (0, 1, 6)
    assert "1 image cannot be used: see" in err
    assert "usable before" not in err
    root = folder(6)
    (root / "a" / "0.png").write_bytes(b"")
    status, out, err = dqh("index", artifact, root, "--out", index, "--max-bad-fraction", 0.5, "--portion", 1)
    assert (status, "5 unchanged, 2 unusable: 6 images in version 2" in out) == (0, True)
    assert "1 of them was usable before, and the index keeps its row;" in err
    assert f"take out what shall go: dqh remove {index} PATH" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none", "none", "--out", "new"), "no artifact at none"),
        (("A", "I"), "required: --out"),
        (("A", "I", "--out", "O", "--runtime", "tvm"), "invalid choice: 'tvm'"),
        (("A", "I", "--out", "O", "--batch-size", "0"), "wanted a whole number from 1, got '0'"),
        (("A", "I", "--out", "O", "--max-bad-fraction", "2"), "wanted a number in 0 … 1, got '2'"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, index: Path, dqh: Callable) -> None:
    status, out, err = dqh("index", *(index if word == "INDEX" else word for word in arguments))
    assert (status, out) == (2, "")
    assert message in err


def test_objects(artifact: Path, tmp_path: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    root, place, index = photos(tmp_path / "photos"), tmp_path / "seer", tmp_path / "index"
    place.mkdir()
    monkeypatch.setattr("dqh.collection.objects.open_detector", lambda path: Seer())
    status, out, err = dqh("index", artifact, root, "--out", index, "--objects", place)
    assert (status, out) == (
        0,
        "4 added, 0 replaced, 0 relabelled, 0 unchanged, 0 unusable: 4 images and 4 objects (4 of them new) "
        f"in version 1 of {index}\n",
    )
    assert "1 box of the detector got no row: smaller than 8 pixels a side, or the box of another object" in err
    status, out, _ = dqh("index", artifact, root, "--out", index, "--json")
    found = json.loads(out)
    assert (status, found["rows"], found["objects"], found["detected"], found["left_out"]) == (0, 8, 4, 0, 0)
    out = dqh("info", index)[1]
    assert f"detector_id    {Seer().detector_id}\n" in out
    assert f"detector       {place}\n" in out
    place.rmdir()
    status, out, err = dqh("index", artifact, root, "--out", index)
    assert (status, out) == (2, "")
    assert f"was made with the detector at {place}, which is not there; name it: --objects DETECTOR" in err
    assert "which is not there" in dqh("info", index)[2]


def test_tags(artifact: Path, index: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> None:
    """Shown as text whatever they hold; a file of another folder is named, with its line."""
    root, table = folder(5), tmp_path / "tags.csv"
    table.write_text("file,tag\na/0.png,\x1b[31m<b>red</b>\na/0.png,round\nb/1.png,round\nb/9.png,round\n")
    status, out, err = dqh("index", artifact, root, "--out", index, "--tags", table)
    assert (status, "5 unchanged, 0 unusable: 5 images in version 2" in out) == (0, True)
    assert "2 images in the index have tags" in err
    assert f"1 line of {table} gave no tag, 1 of them for files that the index does not have; all are listed in" in err
    assert f"the first: {table}:5: 'b/9.png': no image of the index is called so" in err
    assert f"{table}:5,'b/9.png': no image" in (index / "skipped.csv").read_text()
    told = json.loads(dqh("index", artifact, root, "--out", index, "--tags", table, "--json")[1])
    assert (told["tagged"], told["tags_unused"], told["tags_unknown"], told["version"]) == (2, 1, 1, 2)
    out = dqh("info", index)[1]
    assert "tagged         2\ntags           2\n" in out
    assert "frequent_tags  round: 2\n" in out
    assert "               \\x1b[31m<b>red</b>: 1\n" in out
    assert json.loads(dqh("info", index, "--json")[1])["frequent_tags"] == {"round": 2, "\x1b[31m<b>red</b>": 1}
    (hit, *_) = json.loads(dqh("search", index, root / "a" / "0.png", "--json", "--device", "cpu")[1])["queries"][0][
        "hits"
    ]
    assert hit["tags"] == {"round": 1, "\x1b[31m<b>red</b>": 1}
    assert dqh("remove", index, "a/0.png")[0] == 0
    assert json.loads(dqh("info", index, "--json")[1])["frequent_tags"] == {"round": 1}
    assert dqh("check", index)[0] == 0
    table.write_text("none.png,round\n")
    status, out, err = dqh("index", artifact, root, "--out", index, "--tags", table)
    assert (status, out) == (2, "")
    assert "none of the 1 file of" in err


def test_parts_of_another_job_that_runs(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable
) -> None:
    """The index that was to be made is not begun; the parts of the other job stay what they are."""
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "part-of-the-other.json").write_bytes(b"its note")
    (parts / "job.json").write_bytes(seal({"format_version": 1, "index": "/other", "parts": ["part-of-the-other"]}))
    before = (parts / "job.json").read_bytes()
    given = ("--executor", "local", "--workers", 1, "--parts", parts, "--out", tmp_path / "new")
    with locked_file(parts / "job.lock", error=ConfigError, holder="process 7 on elsewhere"):
        status, out, err = dqh("index", artifact, folder(3), *given)
    assert (status, out) == (2, "")
    assert f"{parts} is being written by process 7 on elsewhere; wait until it ends, or name another folder" in err
    assert (parts / "job.json").read_bytes() == before
    assert (parts / "part-of-the-other.json").read_bytes() == b"its note"
    assert not (tmp_path / "new").exists()
