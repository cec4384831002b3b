"""`dqh index | remove | compact | check | info`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def index(artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> Path:
    assert dqh("index", artifact, folder(5), "--out", tmp_path / "index", "--device", "cpu")[0] == 0
    return tmp_path / "index"


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


def test_remove_compact_info_and_check(artifact: Path, index: Path, dqh: Callable) -> None:
    status, out, _ = dqh("remove", index, "a/0.png", "--where", "label = 'b'", "--json")
    assert (status, json.loads(out)) == (0, {"removed": [0, 3, 4]})
    assert dqh("remove", index, "a/2.png")[1] == f"1 removed from {index}\n"
    status, out, _ = dqh("compact", index)
    assert out.startswith("version 3 → 4: 1 → 1 segments, 4 → 0 deleted rows, ")
    status, out, _ = dqh("info", index, "--json")
    assert (json.loads(out)["rows"], json.loads(out)["artifact"]) == (1, str(artifact))
    assert f"artifact      {artifact}\n" in dqh("info", index)[1]
    status, out, _ = dqh("check", index, "--engines", "binary_hnsw", "-k", 1)
    assert status == 0
    assert "binary_hnsw: recall@1 1.0000 over 1 query\nall is well with what version 4 lists\n" in out
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
        (("remove", "INDEX"), "name what to remove"),
        (("remove", "INDEX", "none.png"), "1 of 1 paths are not in"),
        (("remove", "INDEX", "--where", "lable = 'a'"), "unknown column lable"),
        (("check", "INDEX", "--engines", "aqd"), "engine must be one of"),
        (("info", "none"), "no index"),
        (("index", "none", "none", "--out", "new"), "no artifact at none"),
        (("index", "A", "I"), "required: --out"),
        (("index", "A", "I", "--out", "O", "--runtime", "tvm"), "invalid choice: 'tvm'"),
        (("index", "A", "I", "--out", "O", "--batch-size", "0"), "wanted a whole number from 1, got '0'"),
        (("index", "A", "I", "--out", "O", "--max-bad-fraction", "2"), "wanted a number in 0 … 1, got '2'"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, index: Path, dqh: Callable) -> None:
    status, out, err = dqh(*(index if each == "INDEX" else each for each in arguments))
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("verb", "absent"),
    [
        (["info"], ["torch"]),
        (["check"], ["torch"]),
        (["remove", "--where", "path = 'nobody'"], ["torch"]),
        (["compact"], ["torch"]),
        (["search"], ["torch._dynamo", "torchvision", "matplotlib", "dqh.evaluation", "scipy"]),
    ],
)
def test_what_a_verb_loads(
    verb: list[str], absent: list[str], index: Path, artifact: Path, folder: Callable[[int], Path]
) -> None:
    """In a process of its own; with torch `info` took twenty times as long."""
    arguments = [verb[0], str(index), *verb[1:]]
    arguments += [str(folder(1) / "a" / "0.png"), "--artifact", str(artifact)] if verb == ["search"] else []
    program = f"import sys; from dqh.cli import main; status = main({arguments}); print('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint(absent)
    assert "dqh.cli" in loaded
