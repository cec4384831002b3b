"""`dqh duplicates`."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.errors import ConfigError
from dqh.index.store import open_index
from dqh.locks import locked_file
from dqh.quantizers import ProductQuantizer
from tests.artifact.conftest import images, make


@pytest.fixture
def index(artifact: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> Path:
    """Five photos, and the first of them again under two other names."""
    photos = folder(5)
    for name in ("b/again.png", "a/once more.png"):
        shutil.copy(photos / "a/0.png", photos / name)
    out = tmp_path / "index"
    status, _, err = dqh("index", artifact, photos, "--out", out, "--device", "cpu")
    assert status == 0, err
    return out


def test_equal_codes(index: Path, dqh: Callable) -> None:
    """Copies have equal codes; what else has them is in their group, too."""
    version = open_index(index, cache=False).version
    everything = np.arange(len(version))
    codes = [code.tobytes() for code in version.codes(everything)]
    of_path = {row.path: code for row, code in zip(version.rows(everything), codes, strict=True)}
    assert of_path["b/again.png"] == of_path["a/once more.png"] == of_path["a/0.png"]
    status, out, err = dqh("duplicates", index, "--radius", 0)
    assert status == 0
    assert "a/once more.png" in out
    assert "0 bits across" in out
    assert "of 7 images in " in err
    status, out, _ = dqh("duplicates", index, "--radius", 0, "--json")
    told = json.loads(out)
    (group,) = [group for group in told["groups"] if any(image["path"] == "b/again.png" for image in group["images"])]
    assert {"a/0.png", "b/again.png", "a/once more.png"} <= {image["path"] for image in group["images"]}
    assert (told["images"], told["radius"], group["diameter"]) == (7, 0, 0)


def test_an_executor_finds_the_same(index: Path, dqh: Callable) -> None:
    plain, others = (
        dqh("duplicates", index, "--radius", 3, "--json", *options)
        for options in ((), ("--executor", "local", "--workers", 1, "--partitions", 3))
    )
    assert plain[0] == others[0] == 0, others[2]
    assert json.loads(plain[1]) == json.loads(others[1])
    assert not index.with_name("index.duplicates").exists()
    status, _, err = dqh("duplicates", index, "--radius", 3, "--parts", "x")
    assert (status, "--parts: only with --executor" in err) == (2, True)


def test_parts_of_another_run(index: Path, dqh: Callable) -> None:
    given = ("duplicates", index, "--radius", 3, "--executor", "local", "--workers", 1)
    parts = index.with_name("index.duplicates")
    parts.mkdir()
    with locked_file(parts / "job.lock", error=ConfigError, holder="process 7 on elsewhere"):
        status, out, err = dqh(*given)
    assert (status, out) == (2, "")
    assert f"{parts} is being written by process 7 on elsewhere; wait until it ends, or name another folder" in err
    assert [file.name for file in parts.iterdir()] == ["job.lock"]
    assert dqh(*given)[0] == 0
    assert not parts.exists()


def test_a_table_and_a_page(index: Path, tmp_path: Path, dqh: Callable) -> None:
    """All codes are within all of their bits: one group of all, with their pictures."""
    bits = open_index(index, cache=False).version.quantizer.bits
    status, out, _ = dqh("duplicates", index, "--radius", bits, "--out", tmp_path / "found" / "here")
    assert status == 0
    assert out.startswith("7 images, ")
    with (tmp_path / "found" / "here" / "duplicates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["1"] * 7
    assert {row["path"]: row["labels"] for row in rows}["b/again.png"] == "b"
    page = (tmp_path / "found" / "here" / "duplicates.html").read_text()
    assert page.count("data:image/jpeg") == 7
    assert "1: 7 images" in page


def test_a_folder_that_is_not_empty_is_left_alone(index: Path, tmp_path: Path, dqh: Callable) -> None:
    status, out, err = dqh("duplicates", index, "--radius", 1, "--out", tmp_path)
    assert (status, out) == (2, "")
    assert "is not empty; name a new folder" in err
    (tmp_path / "file").write_text("")
    status, _, err = dqh("duplicates", index, "--radius", 1, "--out", tmp_path / "file")
    assert status == 2
    assert "is a file; name a folder" in err


@pytest.mark.parametrize("radius", ["-1", "1.5", "few"])
def test_a_radius_is_a_whole_number(index: Path, dqh: Callable, radius: str) -> None:
    status, _, err = dqh("duplicates", index, f"--radius={radius}")
    assert status == 2
    assert "wanted a whole number of bits from 0" in err


def test_product_quantized_codes_are_refused(folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> None:
    quantizer = ProductQuantizer.from_codebooks(np.random.default_rng(0).standard_normal((3, 16, 4)))
    made = Artifact(**{**vars(make()), "quantizer": quantizer, "classifier": None})
    save_artifact(made, tmp_path / "artifact", golden=golden_files(made, images()))
    assert dqh("index", tmp_path / "artifact", folder(3), "--out", tmp_path / "pq", "--device", "cpu")[0] == 0
    status, out, err = dqh("duplicates", tmp_path / "pq", "--radius", 1)
    assert (status, out) == (2, "")
    assert "codes of the kind pq, whose bits are no distance" in err
