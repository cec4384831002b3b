"""Images as queries of an index, and the four lines of a program."""

from collections.abc import Callable
from pathlib import Path

import pytest

import dqh
from dqh.errors import MismatchError
from dqh.export import golden_files, save_artifact
from dqh.indexing import index_images, search_images
from tests.export.conftest import images, make


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


def test_four_lines_of_a_program(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root = folder(4)
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    encoder = dqh.load_encoder(artifact)
    index = dqh.open_index(tmp_path / "index")
    found = index.search(encoder.encode([root / "a" / "2.png"]), k=1, where="label = 'a'")
    assert found.hits[0][0].path == "a/2.png"
    with pytest.raises(AttributeError, match="module 'dqh' has no attribute 'load'"):
        _ = dqh.load
    assert {"load_encoder", "open_index"} <= set(dir(dqh))


def test_another_encoder_is_refused(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root = folder(1)
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    other = make(seed=1)
    save_artifact(other, tmp_path / "other", golden=golden_files(other, images()))
    with pytest.raises(MismatchError, match=f"{other.encoder_id}; name the artifact that it was made with"):
        search_images(tmp_path / "index", [root / "a" / "0.png"], artifact=tmp_path / "other", device="cpu")
