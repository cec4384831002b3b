"""`dqh check`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_recall_and_damage(index: Path, dqh: Callable) -> None:
    assert dqh("remove", index, "a/0.png", "a/2.png", "--where", "label = 'b'")[0] == 0
    status, out, _ = dqh("check", index, "--engines", "binary_hnsw", "-k", 1)
    assert status == 0
    assert "binary_hnsw by binary: recall@1 1.0000 over 1 query\nall is well with what version 2 lists\n" in out
    (file,) = index.glob("segments/*/features.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    status, out, _ = dqh("check", index, "--json")
    assert (status, json.loads(out)["problems"][0]["file"]) == (1, str(file.relative_to(index)))
    assert dqh("check", index)[1].endswith("NOT as it was written\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("INDEX", "--engines", "aqd"), "engine must be one of"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, index: Path, dqh: Callable) -> None:
    status, out, err = dqh("check", *(index if word == "INDEX" else word for word in arguments))
    assert (status, out) == (2, "")
    assert message in err


def test_it_names_the_verb_for_artifacts(saved: Path, tmp_path: Path, dqh: Callable) -> None:
    assert dqh("export", saved, "--to", "faiss", "--out", tmp_path / "forms")[0] == 0
    for folder in (saved, tmp_path / "forms"):
        status, out, err = dqh("check", folder)
        assert (status, out) == (2, "")
        assert f"verify it: dqh verify {folder}" in err
