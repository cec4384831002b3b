"""`dqh info`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dqh.verbs.info import _lines


def test_an_index_says_what_it_consists_of(artifact: Path, index: Path, dqh: Callable) -> None:
    status, out, _ = dqh("info", index, "--json")
    assert status == 0
    assert (json.loads(out)["rows"], json.loads(out)["artifact"]) == (5, str(artifact))
    assert f"artifact       {artifact}\n" in dqh("info", index)[1]


def test_a_shard_says_which_part_it_is(index: Path, dqh: Callable, tmp_path: Path) -> None:
    assert dqh("split", index, "--shards", 2, "--out", tmp_path / "shards")[0] == 0
    told = json.loads(dqh("info", tmp_path / "shards" / "1", "--json")[1])["shard"]
    assert (told["number"], told["of"], len(told["cut"]), told["version"]) == (1, 2, 64, 1)
    assert "shard" not in json.loads(dqh("info", index, "--json")[1])


def test_an_artifact_says_which_lengths_it_has(artifact: Path, dqh: Callable) -> None:
    """Each with its encoder, a line each."""
    manifest = json.loads((artifact / "artifact.json").read_text())
    bits, encoder = manifest["bits"], manifest["encoder_id"]
    status, out, _ = dqh("info", artifact)
    assert (status, out.splitlines()[-1]) == (0, f"lengths        {bits}: {encoder}")
    assert json.loads(dqh("info", artifact, "--json")[1])["lengths"] == {str(bits): encoder}


def test_every_entry_of_a_mapping_has_a_line() -> None:
    lines = list(_lines({"bits": 64, "metrics": None, "lengths": {"16": "a", "64": "b"}}))
    assert lines == ["bits           64", "metrics        –", "lengths        16: a", "               64: b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none",), "no index"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, index: Path, dqh: Callable) -> None:
    status, out, err = dqh("info", *(index if word == "INDEX" else word for word in arguments))
    assert (status, out) == (2, "")
    assert message in err
