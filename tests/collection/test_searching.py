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
from dqh.errors import ArtifactError, MismatchError
from tests.artifact.conftest import images, make
from tests.artifact.test_lengths import several


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
