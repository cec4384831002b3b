"""`dqh cluster`."""

import csv
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.clustering import cell_points, cluster_folder, cluster_job, cluster_methods, vector_codes, vector_kmeans
from dqh.clustering.iq_means import IQMeans
from dqh.clustering.vector_kmeans import VectorKMeans
from dqh.errors import ConfigError
from dqh.index.store import open_index
from dqh.locks import locked_file
from dqh.quantizers import ProductQuantizer
from tests.artifact.conftest import images, make
from tests.conftest import ROOT

METHODS = {
    "iqmeans": ["--codewords", 16],
    "kmeans": [],
    "binary_kmeans": ["--bits", 6],
    "pqkmeans": ["--codewords", 16, "--subspaces", 4],
}
FILES = {"centres.npy", "clusters.csv", "clusters.html", "clusters.json", "distances.npy", "labels.npy"}


def blobs(number: int = 300, dimension: int = 8, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points around 6 centres that lie far apart, and which."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 6, number)
    centres = 9 * generator.standard_normal((6, dimension))
    return (centres[classes] + generator.standard_normal((number, dimension))).astype(np.float32), classes


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors, and in `labels.npy` which centre each is around."""
    points, classes = blobs()
    np.save(tmp_path / "vectors.npy", points)
    np.save(tmp_path / "labels.npy", classes)
    return tmp_path / "vectors.npy"


def read(out: Path) -> dict[str, Any]:
    return {name.removesuffix(".npy"): np.load(out / name) for name in ("labels.npy", "distances.npy", "centres.npy")}


def test_parts_of_another_run(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    """Nothing is made; when the other run has ended, the same command does it."""
    out, parts = tmp_path / "out", tmp_path / "out.parts"
    options = ("--method", "kmeans", "--executor", "local", "--workers", 1)
    parts.mkdir()
    with locked_file(parts / "job.lock", error=ConfigError, holder="process 7 on elsewhere"):
        status, text, err = dqh("cluster", vectors, "-k", 6, *options, "--out", out)
    assert (status, text) == (2, "")
    assert f"{parts} is being written by process 7 on elsewhere; wait until it ends, or name another folder" in err
    assert not out.exists()
    assert [file.name for file in parts.iterdir()] == ["job.lock"]
    status, _, err = dqh("cluster", vectors, "-k", 6, *options, "--out", out)
    assert status == 0, err
    assert not parts.exists()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_labels_centres_and_numbers(
    method: str, vectors: Path, tmp_path: Path, dqh: Callable
) -> None:
    """What the files say agrees: sizes count labels, distances are those to the centres, their mean the distortion."""
    out = tmp_path / "out"
    labelled = "--labels", vectors.parent / "labels.npy"
    status, text, err = dqh("cluster", vectors, "-k", 6, "--method", method, *METHODS[method], *labelled, "--out", out)
    assert status == 0, err
    assert text.startswith(f"6 clusters of 300 rows in {out}\n")
    assert "up to " in err
    made = {"quantizer.safetensors"} if method != "kmeans" else set()
    assert {file.name for file in out.iterdir()} == FILES | made
    arrays, manifest = read(out), json.loads((out / "clusters.json").read_text())
    points, classes = blobs()
    with (out / "clusters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["size"]) for row in rows] == np.bincount(arrays["labels"], minlength=6).tolist()
    result = manifest["result"]
    assert result["distortion"] == pytest.approx(arrays["distances"].mean(), rel=1e-6)
    counts = np.zeros((6, 6), np.int64)
    np.add.at(counts, (arrays["labels"], classes), 1)
    assert result["purity"] == pytest.approx(counts.max(axis=1).sum() / 300)
    if method in ("iqmeans", "kmeans"):
        expected = ((points - arrays["centres"][arrays["labels"]]) ** 2).sum(axis=1)
        np.testing.assert_allclose(arrays["distances"], expected, rtol=1e-4, atol=1e-4)
        assert result["purity"] > 0.8
    assert dqh("verify", out)[0] == 0


@pytest.mark.parametrize("count", [2, 40, 300])
@pytest.mark.parametrize("method", METHODS)
def test_defaults_fit_few_points(method: str, count: int, tmp_path: Path, dqh: Callable) -> None:
    """Fewer than the codewords, or the bits, that many points get."""
    np.save(tmp_path / "few.npy", blobs()[0][:count])
    status, _, err = dqh("cluster", tmp_path / "few.npy", "-k", 2, "--method", method, "--out", tmp_path / "out")
    assert status == 0, err
    assert np.bincount(read(tmp_path / "out")["labels"]).sum() == count


def test_the_labels_are_those_of_the_library(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    points, _ = blobs()
    assert dqh("cluster", vectors, "-k", 9, "--codewords", 16, "--seed", 3, "--out", tmp_path / "iq")[0] == 0
    expected = IQMeans(9, codewords=16, seed=3).fit(points)
    np.testing.assert_array_equal(read(tmp_path / "iq")["labels"], expected.labels_)
    np.testing.assert_array_equal(read(tmp_path / "iq")["centres"], expected.cluster_centers_)
    assert dqh("cluster", vectors, "-k", 9, "--method", "kmeans", "--out", tmp_path / "plain")[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "plain")["labels"], VectorKMeans(9).fit(points).labels_)


def test_a_finished_folder_is_left_as_it_is_and_others_are_refused(
    vectors: Path, tmp_path: Path, dqh: Callable
) -> None:
    out = tmp_path / "out"
    first = dqh("cluster", vectors, "-k", 6, "--codewords", 16, "--out", out, "--json")
    before = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in out.iterdir()}
    status, text, err = dqh("cluster", vectors, "-k", 6, "--codewords", 16, "--out", out, "--json")
    assert (status, text) == (0, first[1])
    assert "is finished; nothing to do" in err
    assert before == {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in out.iterdir()}
    status, _, err = dqh("cluster", vectors, "-k", 7, "--codewords", 16, "--seed", 1, "--out", out)
    assert status == 2
    assert "clusters 6, now 7; seed 0, now 1" in err
    assert "name a new folder" in err
    np.save(vectors, blobs(seed=5)[0])
    status, _, err = dqh("cluster", vectors, "-k", 6, "--codewords", 16, "--out", out)
    assert status == 2
    assert "holds a clustering that differs: file " in err
    assert before == {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in out.iterdir()}


def test_damage_is_told(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    out = tmp_path / "out"
    same = "cluster", vectors, "-k", 6, "--codewords", 16, "--out", out
    assert dqh(*same)[0] == 0
    (out / "labels.npy").write_bytes((out / "labels.npy").read_bytes()[:-1] + b"\xff")
    for again in (same, ("verify", out)):
        status, _, err = dqh(*again)
        assert status == 1
        assert "labels.npy is damaged" in err
    (out / "clusters.json").write_text("{}")
    status, _, err = dqh(*same)
    assert status == 1
    assert "cluster again into a new folder" in err


class StoppedError(BaseException):
    """What ends a run in the middle, as a signal does."""


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are read 64 at a time, and all that is offered is kept."""
    for module in (cell_points, vector_codes, vector_kmeans, cluster_methods):
        monkeypatch.setattr(module, "CHUNK", 64)
    monkeypatch.setattr(
        cluster_job.cluster_points,
        "__kwdefaults__",
        {
            **(cluster_job.cluster_points.__kwdefaults__ or {}),
            "pace": 0.0,
        },
    )


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_run_goes_on_to_the_same_result(
    method: str, vectors: Path, tmp_path: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before and after each thing that is kept: what is there by then is kept, and all files are the same."""
    same = "cluster", vectors, "-k", 6, "--method", method, *METHODS[method], "--iterations", 3, "--out"
    assert dqh(*same, tmp_path / "whole")[0] == 0
    whole = {file.name: file.read_bytes() for file in (tmp_path / "whole").iterdir()}
    offer, publish = cluster_folder.ClusterFolder.offer, cluster_folder.Folder.publish
    calls = {"left": -1}

    def stopping(call: Callable[..., Any]) -> Callable[..., Any]:
        def stop(*arguments: Any, **named: Any) -> Any:
            calls["left"] -= 1
            if not calls["left"]:
                raise KeyboardInterrupt
            return call(*arguments, **named)

        return stop

    monkeypatch.setattr(cluster_folder.ClusterFolder, "offer", stopping(offer))
    monkeypatch.setattr(cluster_folder.Folder, "publish", stopping(publish))
    out, stops, kept = tmp_path / "out", 0, set()
    for left in range(1, 200):
        calls["left"] = left
        status, _, err = dqh(*same, out)
        if status == 0:
            break
        assert status == 130, err
        assert ("the same command goes on from there" in err) == out.exists()
        stops += 1
        if out.exists():
            manifest = json.loads((out / "clusters.json").read_text())
            kept |= set(manifest["stages"])
            assert manifest["result"] is None or left > 3
            assert {file.name for file in out.iterdir()} <= {"clusters.json", "unfinished", *whole}
            assert dqh("verify", out)[0] == 0
    assert stops > 3
    assert {"iterations", "quantizer"} - ({"quantizer"} if method == "kmeans" else set()) <= kept
    assert {file.name: file.read_bytes() for file in out.iterdir()} == whole


KILLED = """
import os, sys
from dqh.clustering import cell_points, cluster_folder, cluster_job, cluster_methods
from dqh.verbs.running import run

left = int(sys.argv[1])

def counted(call):
    def one(*arguments, **named):
        global left
        left -= 1
        if not left:
            os._exit(9)
        answer = call(*arguments, **named)
        left -= 1
        if not left:
            os._exit(9)
        return answer
    return one

cell_points.CHUNK = cluster_methods.CHUNK = 64
cluster_job.cluster_points.__kwdefaults__["pace"] = 0.0
for name in ("_put_in_place", "_move", "_staging"):
    setattr(cluster_folder.Folder, name, counted(getattr(cluster_folder.Folder, name)))
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_a_killed_run_goes_on_to_the_same_result(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    """Killed before and after files are put in place, at first and again; nothing else is left in the folder."""
    same = "cluster", vectors, "-k", 6, "--codewords", 16, "--iterations", 2, "--out"
    assert dqh(*same, tmp_path / "whole")[0] == 0
    whole = {file.name: file.read_bytes() for file in (tmp_path / "whole").iterdir()}
    for first in (5, 16, 27, 60):
        out = tmp_path / f"out {first}"
        for left in (first, first // 2 + 3):
            command = [sys.executable, "-c", KILLED, str(left), *map(str, same), str(out)]
            assert subprocess.run(command, check=False, capture_output=True, cwd=ROOT).returncode == 9
        assert dqh(*same, out)[0] == 0
        assert {file.name: file.read_bytes() for file in out.iterdir()} == whole


@pytest.mark.usefixtures("small_parts")
def test_an_unfinished_run_of_others_is_refused_and_two_runs_at_once_are(
    vectors: Path, tmp_path: Path, dqh: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def stop(*_: Any) -> Any:
        assert "is being written by another process" in dqh(*same)[2]
        raise KeyboardInterrupt

    same = "cluster", vectors, "-k", 6, "--method", "kmeans", "--out", out
    with monkeypatch.context() as patch:
        patch.setattr(cluster_job, "cluster_numbers", stop)
        assert dqh(*same)[0] == 130
    assert (out / "unfinished").is_dir()
    status, _, err = dqh(*same, "--iterations", 5)
    assert status == 2
    assert "holds an unfinished clustering that differs: iterations 20, now 5" in err
    file = next((out / "unfinished").rglob("sums.npy"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\x01")
    status, _, err = dqh(*same)
    assert status == 1
    assert "sums.npy is damaged" in err
    file.write_bytes(content)
    (out / "mine.txt").write_text("of the user")
    status, _, err = dqh(*same)
    assert status == 0
    assert "an earlier run was interrupted; going on with it" in err
    assert (out / "mine.txt").read_text() == "of the user"
    assert not (out / "unfinished").exists()


def test_what_lies_in_the_way_is_left_alone(vectors: Path, tmp_path: Path, dqh: Callable, saved: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    cases = {"full": "is not empty", "vectors.npy": "is a file", "link": "symbolic link", saved.name: "is an artifact"}
    for name, reason in cases.items():
        status, out, err = dqh("cluster", vectors, "-k", 2, "--codewords", 16, "--out", tmp_path / name)
        assert (status, out) == (2, "")
        assert reason in err
    assert (tmp_path / "full" / "mine").exists()


def test_auto(tmp_path: Path, dqh: Callable) -> None:
    np.save(tmp_path / "blobs.npy", blobs(600, dimension=2)[0])
    auto = "-k", "auto", "--most", 24, "--codewords", 32
    status, out, err = dqh("cluster", tmp_path / "blobs.npy", *auto, "--out", tmp_path / "out", "--json")
    assert status == 0, err
    assert 2 <= json.loads(out)["clusters"] <= 12


def test_an_index(folder: Callable[[int], Path], artifact: Path, tmp_path: Path, dqh: Callable) -> None:
    """By features and by codes; what was removed is in no cluster, and copies lie in one."""
    photos = folder(9)
    shutil.copy(photos / "a/0.png", photos / "b/again.png")
    assert dqh("index", artifact, photos, "--out", tmp_path / "index", "--device", "cpu")[0] == 0
    assert dqh("remove", tmp_path / "index", photos / "a/2.png")[0] == 0
    version = open_index(tmp_path / "index", cache=False).version
    assert len(version) == 9
    for method, more in (("binary_kmeans", []), ("kmeans", []), ("iqmeans", ["--codewords", 4])):
        out = tmp_path / method
        status, text, err = dqh("cluster", tmp_path / "index", "-k", 2, "--method", method, *more, "--out", out)
        assert status == 0, err
        assert text.startswith("2 clusters of 9 images")
        with (out / "members.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["id"]) for row in rows] == version.ids.tolist()
        assert "a/2.png" not in "".join(row["path"] for row in rows)
        owner = {Path(row["path"]).relative_to(photos).as_posix(): row["cluster"] for row in rows}
        assert owner["a/0.png"] == owner["b/again.png"]
        assert {row["labels"] for row in rows} == {"a", "b"}
        page = (out / "clusters.html").read_text()
        assert page.count("data:image/jpeg") >= 9
        assert np.load(out / "labels.npy").tolist() == [int(row["cluster"]) for row in rows]
    codes = np.load(tmp_path / "binary_kmeans" / "centres.npy")
    assert codes.dtype == np.uint8
    assert codes.shape[1] == version.codes(np.arange(1)).shape[1]
    assert dqh("remove", tmp_path / "index", photos / "a/4.png")[0] == 0
    status, _, err = dqh("cluster", tmp_path / "index", "-k", 2, "--method", "kmeans", "--out", tmp_path / "kmeans")
    assert status == 2
    assert "differs: index " in err


def test_an_index_of_product_quantized_codes(folder: Callable[[int], Path], tmp_path: Path, dqh: Callable) -> None:
    quantizer = ProductQuantizer.from_codebooks(np.random.default_rng(0).standard_normal((3, 16, 4)))
    made = Artifact(**{**vars(make()), "quantizer": quantizer, "classifier": None})
    save_artifact(made, tmp_path / "artifact", golden=golden_files(made, images()))
    assert dqh("index", tmp_path / "artifact", folder(9), "--out", tmp_path / "pq", "--device", "cpu")[0] == 0
    status, _, err = dqh("cluster", tmp_path / "pq", "-k", 1, "--method", "pqkmeans", "--out", tmp_path / "a")
    assert status == 0, err
    assert read(tmp_path / "a")["centres"].dtype == np.uint8
    points = "--points", "codes"
    status, _, err = dqh(
        "cluster", tmp_path / "pq", "-k", 2, "--method", "binary_kmeans", *points, "--out", tmp_path / "b"
    )
    assert status == 2
    assert "binary_kmeans clusters binary codes, those of" in err
    status, _, err = dqh("cluster", tmp_path / "pq", "-k", 2, *points, "--out", tmp_path / "c")
    assert status == 2
    assert "quantizer must have 2 subspaces" in err


def test_tables_have_ids_paths_and_labels(index: Path, tmp_path: Path, dqh: Callable) -> None:
    """What `dqh export --to parquet` writes is clustered as the index is."""
    assert dqh("export", index, "--to", "parquet", "--out", tmp_path / "handed")[0] == 0
    table = tmp_path / "handed" / "parquet" / "images.parquet"
    for method, more in (("binary_kmeans", []), ("iqmeans", ["--codewords", 4])):
        for source, out in ((index, tmp_path / f"index {method}"), (table, tmp_path / f"table {method}")):
            status, _, err = dqh("cluster", source, "-k", 2, "--method", method, *more, "--out", out)
            assert status == 0, err
        for name in ("labels.npy", "centres.npy", "members.csv"):
            assert (tmp_path / f"index {method}" / name).read_bytes() == (out / name).read_bytes()
        assert "data:image/jpeg" in (out / "clusters.html").read_text()


def test_files_of_vectors_give_the_same_clusters(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    points, _ = blobs()
    with (tmp_path / "points.fvecs").open("wb") as file:
        for row in points:
            file.write(struct.pack("<i", len(row)) + row.astype("<f4").tobytes())
    np.save(tmp_path / "doubles.npy", np.asfortranarray(points.astype(np.float64)))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), 8)
    pq.write_table(pa.table({"row": list(range(300)), "vector": lists}), tmp_path / "fixed.parquet", row_group_size=70)
    ragged = pa.array(points.tolist(), pa.list_(pa.float64()))
    pq.write_table(pa.table({"embedding": ragged}), tmp_path / "lists.parquet", row_group_size=128)
    for method in ("iqmeans", "kmeans"):
        same = "-k", 6, "--method", method, *METHODS[method], "--out"
        assert dqh("cluster", vectors, *same, tmp_path / method)[0] == 0
        for name in ("points.fvecs", "doubles.npy", "fixed.parquet", "lists.parquet"):
            out = tmp_path / f"{method} of {name}"
            status, _, err = dqh("cluster", tmp_path / name, *same, out)
            assert status == 0, err
            for file in ("labels.npy", "centres.npy", "distances.npy"):
                assert (out / file).read_bytes() == (tmp_path / method / file).read_bytes()


def test_bytes_are_codes_or_vectors(tmp_path: Path, dqh: Callable) -> None:
    """In `.npy` codes, in `.bvecs` values of vectors, and the other one where it is said."""
    codes = np.random.default_rng(0).integers(0, 256, (200, 4), np.uint8)
    np.save(tmp_path / "codes.npy", codes)
    (tmp_path / "codes.bvecs").write_bytes(b"".join(struct.pack("<i", 4) + row.tobytes() for row in codes))
    pairs = [("codes.npy", "codes", []), ("codes.bvecs", "codes", ["--points", "codes"])]
    pairs += [("codes.bvecs", "vectors", []), ("codes.npy", "vectors", ["--points", "vectors"])]
    kinds: dict[str, list[bytes]] = {"codes": [], "vectors": []}
    for name, kind, more in pairs:
        method = ["--method", "binary_kmeans" if kind == "codes" else "kmeans"]
        out = tmp_path / f"{name} as {kind}"
        status, text, err = dqh("cluster", tmp_path / name, "-k", 5, *method, *more, "--out", out)
        assert status == 0, err
        assert ("bits after" in text) == (kind == "codes")
        assert np.load(out / "centres.npy").dtype == (np.uint8 if kind == "codes" else np.float32)
        kinds[kind].append((out / "labels.npy").read_bytes())
    assert kinds["codes"][0] == kinds["codes"][1]
    assert kinds["vectors"][0] == kinds["vectors"][1]


def test_product_quantized_codes_of_a_file(tmp_path: Path, dqh: Callable) -> None:
    """Codebooks say what they stand for; without them bytes are taken for bits."""
    points, classes = blobs()
    for subspaces, method in ((4, "pqkmeans"), (2, "iqmeans")):
        quantizer = ProductQuantizer(subspaces, 16).fit(points)
        np.save(tmp_path / "codebooks.npy", quantizer.codebooks)
        np.save(tmp_path / "codes.npy", quantizer.encode(points))
        same = "cluster", tmp_path / "codes.npy", "-k", 6, "--method", method
        status, _, err = dqh(*same, "--quantizer", tmp_path / "codebooks.npy", "--out", tmp_path / method)
        assert status == 0, err
        counts = np.zeros((6, 6), np.int64)
        np.add.at(counts, (read(tmp_path / method)["labels"], classes), 1)
        assert counts.max(axis=1).sum() > 240
        status, _, err = dqh(*same, "--out", tmp_path / "none")
        assert status == 2
        assert f"{method} clusters pq codes" in err
    np.save(tmp_path / "codebooks.npy", np.zeros((3, 16, 2), np.float32))
    status, _, err = dqh(*same, "--quantizer", tmp_path / "codebooks.npy", "--out", tmp_path / "none")
    assert status == 2
    assert "the quantizer makes codes of 12 bits" in err


def test_pictures_and_labels_of_a_list(
    vectors: Path, folder: Callable[[int], Path], tmp_path: Path, dqh: Callable
) -> None:
    photos = folder(2)
    lines = [f"{photos / 'a/0.png'} hat" if row % 2 else f"{photos / 'b/1.png'} coat" for row in range(300)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    same = "cluster", vectors, "-k", 3, "--codewords", 16, "--images", tmp_path / "list.txt", "--out"
    status, text, err = dqh(*same, tmp_path / "out")
    assert status == 0, err
    assert "purity 0.5" in text
    page = (tmp_path / "out" / "clusters.html").read_text()
    assert page.count("data:image/jpeg") == 3 * 3 * 24
    assert "hat: 5" in page
    (tmp_path / "list.txt").write_text("\n".join(lines[:-1]))
    status, _, err = dqh(*same, tmp_path / "more")
    assert status == 2
    assert "has 299 lines" in err


def test_vectors_that_are_not_finite_are_left_out_and_listed(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    points, _ = blobs()
    for row, value in ((4, np.nan), (17, np.inf), (40, -np.inf), (299, 1e30)):
        points[row, row % 8] = value
    np.save(vectors, points)
    same = "cluster", vectors, "-k", 6, "--codewords", 16, "--out", tmp_path / "out"
    status, _, err = dqh(*same)
    assert status == 3
    assert "4 of 300 rows" in err
    assert "the first 4; above 1.00%" in err
    status, text, err = dqh(*same, "--max-bad-fraction", 0.02)
    assert status == 0, err
    assert "4 rows left out" in text
    assert (tmp_path / "out" / "skipped.csv").read_text() == "row,reason\n" + "".join(
        f"{row},no finite vector\n" for row in (4, 17, 40, 299)
    )
    labels = np.load(tmp_path / "out" / "labels.npy")
    assert np.flatnonzero(labels < 0).tolist() == [4, 17, 40, 299]
    good = np.delete(points, [4, 17, 40, 299], axis=0)
    np.testing.assert_array_equal(labels[labels >= 0], IQMeans(6, codewords=16).fit(good).labels_)


def test_odd_dimensions_are_filled_with_zeros(tmp_path: Path, dqh: Callable) -> None:
    points = blobs(dimension=7)[0]
    np.save(tmp_path / "odd.npy", points)
    for method in ("iqmeans", "pqkmeans"):
        out = tmp_path / method
        status, _, err = dqh(
            "cluster", tmp_path / "odd.npy", "-k", 6, "--method", method, "--codewords", 16, "--out", out
        )
        assert status == 0, err
    assert np.load(tmp_path / "iqmeans" / "centres.npy").shape == (6, 7)
    filled = np.concatenate([points, np.zeros((300, 1), np.float32)], axis=1)
    np.testing.assert_array_equal(
        np.load(tmp_path / "iqmeans" / "labels.npy"), IQMeans(6, codewords=16).fit(filled).labels_
    )


def test_memory_is_told_and_kept_to(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    same = "cluster", vectors, "-k", 6, "--codewords", 16, "--out", tmp_path / "out"
    status, out, err = dqh(*same, "--memory", "100M")
    assert (status, out) == (2, "")
    assert "iqmeans may take up to" in err
    assert "and --memory allows 100 MiB" in err
    assert "or allow it: --memory 1G" in err
    assert not (tmp_path / "out").exists()
    assert dqh(*same, "--memory", "1.5GiB")[0] == 0
    status, _, err = dqh(*same, "--memory", "lots")
    assert status == 2
    assert "wanted a size of memory such as 4G or 800M, got 'lots'" in err


def npy(array: Any) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def table(**columns: Any) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns), path)


ROW = struct.pack("<iff", 2, 1, 2)
BAD = {
    "a.npy": [
        (npy(np.zeros((0, 4), np.float32)), "holds no rows of numbers, its shape is (0, 4)"),
        (npy(np.zeros((4, 0), np.float32)), "holds no rows of numbers, its shape is (4, 0)"),
        (npy(np.zeros(4, np.float32)), "must be (N, D) numbers, got (4,)"),
        (npy(np.zeros((2, 2, 2), np.float32)), "must be (N, D) numbers"),
        (npy(np.array([["a", "b"]])), "must be (N, D) numbers"),
        (npy(np.array([[None]], object)), "not unpickled"),
        (npy(np.ones((4, 2), np.complex64)), "must be (N, D) numbers"),
        (content(b""), "is no .npy file"),
        (content(b"no numbers"), "is no .npy file"),
        (lambda path: path.mkdir(), "no index at"),
        (lambda path: os.mkfifo(path), "named pipe"),
        (npy(np.full((40, 4), np.nan, np.float32)), "40 of 40 rows"),
        (npy(np.ones((40, 4), np.float32)), "n_clusters must be at most the number of cells"),
        (npy(np.ones((2, 4), np.float32)), "-k must be at most the number of rows, got 3 clusters for 2"),
        (npy(np.ones((40, 4), np.uint8)), "iqmeans clusters pq codes"),
    ],
    "a.fvecs": [
        (content(b""), "holds no rows"),
        (content(ROW[:-1]), "or cut off"),
        (content(ROW * 3 + b"\1"), "or cut off"),
        (content(struct.pack("<i", -1)), "its first dimension is -1"),
        (content(ROW + struct.pack("<iff", 3, 1, 2) + ROW * 2), "row 1 says it has 3 values, row 0 has 2"),
    ],
    "a.index": [(lambda path: None, "no index at")],
    "a.bvecs": [(content(b"\2\0\0\0\1"), "or cut off")],
    "a.parquet": [
        (content(b"PAR1"), "cannot be read"),
        (table(name=["a", "b"]), "has no column of vectors or codes; it has name: string"),
        (table(a=[[1.0]] * 4, b=[[2.0]] * 4), "several columns of vectors: a, b; name one"),
        (table(a=pa.array([], pa.list_(pa.float32()))), "holds no rows"),
        (table(a=pa.array([None, None], pa.list_(pa.float32()))), "is empty in its first row group"),
        (table(code=pa.array([b"ab", None], pa.binary(2))), "row 1 has no code of 2 bytes"),
    ],
    "a.csv": [(content(b"1,2\n"), "has no ending that says what it holds")],
}


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [(name, write, reason) for name, cases in BAD.items() for write, reason in cases],
    ids=[f"{name}-{reason}" for name, cases in BAD.items() for _, reason in cases],
)
def test_bad_files(name: str, write: Callable[[Path], None], reason: str, tmp_path: Path, dqh: Callable) -> None:
    write(tmp_path / name)
    method = ["--method", "binary_kmeans"] if "code of" in reason else ["--codewords", 2]
    status, out, err = dqh(
        "cluster", tmp_path / name, "-k", 3 if "got 3" in reason else 2, *method, "--out", tmp_path / "out"
    )
    assert status in (2, 3), err
    assert out == ""
    assert reason in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-k", "0"], "wanted a whole number from 1, or auto"),
        (["-k", "auto", "--method", "kmeans"], "-k auto belongs to iqmeans"),
        (["-k", "3", "--most", "9"], "--most belongs to -k auto"),
        (["-k", "3", "--bits", "8"], "--bits belongs to --method binary_kmeans, got iqmeans"),
        (["-k", "3", "--codewords", "17"], "codewords must be a power of two"),
        (["-k", "3", "--codewords", "512"], "codewords must be at most the number of training vectors"),
        (["-k", "3", "--method", "binary_kmeans", "--bits", "99"], "bits must be at most F"),
        (["-k", "3", "--points", "codes"], "codes are uint8"),
        (["-k", "3", "--column", "a"], "a column is of a Parquet file"),
        (["-k", "3", "--labels", "nowhere.npy"], "looked for nowhere.npy"),
        (["-k", "3", "--quantizer", "nowhere"], "looked for nowhere"),
        (["-k", "3", "--images", "nowhere"], "nowhere"),
        (["-k", "3", "--seed", "-1"], "wanted a whole number from 0"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: list[str], reason: str, vectors: Path, tmp_path: Path, dqh: Callable
) -> None:
    status, out, err = dqh("cluster", vectors, *arguments, "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert reason in err
    assert not (tmp_path / "out").exists()


def test_labels_of_another_length(vectors: Path, tmp_path: Path, dqh: Callable) -> None:
    np.save(tmp_path / "few.npy", np.zeros(3, np.int64))
    status, _, err = dqh("cluster", vectors, "-k", 3, "--labels", tmp_path / "few.npy", "--out", tmp_path / "out")
    assert status == 2
    assert "must be (300,) class numbers" in err


def test_an_index_without_images_and_a_folder_that_is_none(index: Path, tmp_path: Path, dqh: Callable) -> None:
    paths = [row.path for row in open_index(index, cache=False).version.rows(np.arange(5))]
    root = open_index(index, cache=False).version.manifest.root
    status, _, err = dqh("cluster", index, "-k", 2, "--labels", "x.npy", "--out", tmp_path / "out")
    assert status == 2
    assert "--labels belongs to a file" in err
    assert dqh("remove", index, *[f"{root}/{path}" for path in paths])[0] == 0
    status, _, err = dqh("cluster", index, "-k", 2, "--out", tmp_path / "out")
    assert status == 2
    assert "has no images" in err
    status, _, err = dqh("cluster", tmp_path / "nowhere", "-k", 2, "--out", tmp_path / "out")
    assert status == 2
    assert "no index at" in err


def test_equal_codes_are_too_few_for_several_clusters(tmp_path: Path, dqh: Callable) -> None:
    np.save(tmp_path / "codes.npy", np.full((50, 2), 7, np.uint8))
    same = "cluster", tmp_path / "codes.npy", "--method", "binary_kmeans", "--out", tmp_path / "out"
    status, _, err = dqh(*same, "-k", 2)
    assert status == 2
    assert "got 2 clusters for 1 distinct ones among 50" in err
    status, text, _ = dqh(*same, "-k", 1)
    assert status == 0
    assert "distortion 0 bits" in text
