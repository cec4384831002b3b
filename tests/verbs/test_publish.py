"""`dqh publish` and `dqh fetch`, and that a URL is no path anywhere else."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dqh.index.store import check
from dqh.verbs.running import parser
from dqh.verbs.verb import local
from tests.stores import stored

__all__ = ["stored"]


def test_an_index_goes_into_a_store_and_comes_back(
    artifact: Path, index: Path, folder: Callable[[int], Path], stored: str, dqh: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "fetched"
    status, told, _ = dqh("publish", index, f"{stored}/photos.index")
    assert status == 0
    assert told.startswith(f"version 1 with 5 rows is in {stored}/photos.index: 6 files copied, ")
    status, told, _ = dqh("fetch", f"{stored}/photos.index", out, "--json")
    fields = json.loads(told)
    assert (status, fields.pop("bytes") > 1000, fields) == (
        *(0, True),
        {"version": 1, "rows": 5, "files": 6, "kept": 0},
    )
    assert check(out).problems == ()
    query = folder(5) / "a" / "0.png"
    assert dqh("search", out, query)[2].endswith("name it: --artifact DIR")
    options = (query, "-k", 3, "--json", "--device", "cpu", "--artifact", artifact)
    hits = [json.loads(dqh("search", place, *options)[1])["queries"][0]["hits"] for place in (index, out)]
    assert hits[0] == hits[1]
    for options in ((), ("--check",)):
        told = dqh("publish", index, f"{stored}/photos.index", *options)[1]
        assert told.endswith(": 0 files copied, 0 bytes, 6 were there\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("publish", "INDEX", "folder"), 2, "wanted a URL, such as s3://bucket/photos.index, got 'folder'"),
        (("publish", "s3://b/i", "s3://b/j"), 2, "INDEX: s3://b/i is a URL, wanted a path of this machine; copy what"),
        (("publish", "INDEX", "s3://N:PASS@b/i"), 2, "s3://***@b/i holds a password, key or signature"),
        (("publish", "INDEX", "ftp://b/i"), 2, "ftp://b/i is of no store that is read, which are s3://, "),
        (("publish", "none", "memory://b/i"), 2, "no index at none"),
        (("fetch", "memory://b/none", "new"), 2, "no index at memory://b/none: it has no v<N>.json; put one there"),
        (("fetch", "memory://b/i", "s3://b/i"), 2, "INDEX: s3://b/i is a URL, wanted a path of this machine"),
        (
            ("info", "s3://N:PASS@b/i"),
            2,
            "an index by dqh fetch URL DIR, and put an index that is finished there by dqh ",
        ),
    ],
)
def test_usage(words: tuple[str, ...], status: int, message: str, index: Path, dqh: Callable) -> None:
    got, out, err = dqh(*(index if word == "INDEX" else word for word in words))
    assert (got, out) == (status, "")
    assert message in err
    assert "PASS@" not in err
    assert not Path("new").exists()


def actions() -> Iterator[tuple[str, argparse.Action]]:
    """Every argument of every verb."""
    (verbs,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, own in verbs.choices.items():
        yield from ((name, action) for action in own._actions)


PATHS = [
    pytest.param(verb, action, id=f"{verb} {(action.option_strings or [action.dest])[0]}")
    for verb, action in actions()
    if action.type is local
]


def test_every_argument_that_is_a_path_is_known() -> None:
    """By their names in the help; those that are no path of this machine alone are named here."""
    named = {(verb, action.dest) for verb, action in actions() if action.metavar and takes_path(str(action.metavar))}
    known = {(param.values[0], param.values[1].dest) for param in PATHS}
    others = {
        *(("index", "images"), ("search", "queries"), ("look", "photos"), ("lens", "photos"), ("related", "items")),
        *(("remove", "paths"), ("publish", "url"), ("fetch", "url"), ("detector", "classes")),
    }
    assert len(known) > 60
    assert named - known - others == set()


def takes_path(metavar: str) -> bool:
    words = ("DIR", "FILE", "INDEX", "ARTIFACT", "DETECTOR", "PATH", "TABLE", "LIST", "LOG", "OUT", "MODEL", "BOXES")
    return any(word in metavar for word in words)


@pytest.mark.parametrize(("verb", "action"), PATHS)
def test_a_url_is_no_path(
    verb: str, action: argparse.Action, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = (
        r"^s3://\*\*\*@b/x is a URL, wanted a path of this machine; copy what is there here first, an index by dqh "
        r"fetch URL DIR, and put an index that is finished there by dqh publish INDEX URL; a URL has no password, "
        r"key or signature: the environment says who you are, as AWS_PROFILE$"
    )
    with pytest.raises(argparse.ArgumentTypeError, match=wanted):
        action.type("s3://N:PASS@b/x")  # type: ignore[misc,operator] # it is `local`
    assert list(tmp_path.iterdir()) == []


def test_a_url_for_an_index_that_is_made_or_served_makes_no_folder(
    artifact: Path, folder: Callable[[int], Path], dqh: Callable, monkeypatch: Any, tmp_path: Path
) -> None:
    root = folder(1)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for words in (
        ("index", artifact, root, "--out", "s3://bucket/photos.index"),
        ("index", artifact, root, "--out", "new", "--executor", "local", "--parts", "gs://bucket/parts"),
        ("serve", "s3://bucket/photos.index"),
        ("search", "s3://bucket/photos.index", root / "a" / "0.png"),
        ("cluster", "s3://bucket/vectors.npy", "-k", 3, "--out", "clusters"),
    ):
        status, out, err = dqh(*words)
        assert (status, out) == (2, "")
        assert "is a URL, wanted a path of this machine; copy what is there here first, an index by dqh fetch" in err
    assert list(Path.cwd().iterdir()) == []
