"""The picture of queries and answers."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from dqh.collection import index_images, search_images
from dqh.collection.picture import draw, save
from tests.collection.seer import RED, Seer, photos


def test_a_line_a_query_with_captions(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(4), tmp_path / "index"
    index_images(artifact, [root], index, device="cpu")
    queries = [root / "a" / "0.png", root / "b" / "1.png"]
    answers = search_images(index, queries, k=3, box=(0, 0, 24, 20), device="cpu")
    (root / "a" / "2.png").unlink()
    figure = draw(answers)
    assert len(figure.axes) == 8
    texts = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert texts[0] == ["query\n0.png"]
    picture = figure.axes[0]
    assert (*picture.get_xlim(), *picture.get_ylim()) == (0, 24, 20, 0)  # so the box, all of it, is its edge
    assert picture.patches[0].get_bbox().bounds == (0, 0, 24, 20)
    assert texts[1] == ["a\ncode 0 · fine 0\na/0.png"]
    assert any(each[0].startswith("no picture") for each in texts if len(each) == 2)
    save(figure, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == tuple(int(120 * inches) for inches in figure.get_size_inches())
        assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_letters_that_the_font_lacks_are_no_warning(artifact: Path, folder: Callable[[int], Path]) -> None:
    root = folder(1)
    (root / "a" / "0.png").rename(root / "a" / "字.png")
    index_images(artifact, [root], root / "index", device="cpu")
    figure = draw(search_images(root / "index", [root / "a" / "字.png"], device="cpu"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(figure, root / "out.png")
    assert (root / "out.png").is_file()


def test_labels_keep_their_beginning_and_paths_their_end(artifact: Path, folder: Callable[[int], Path]) -> None:
    """Of 23 columns, in which a letter of 日本 takes two."""
    root = folder(2)
    for name in ("a", "b"):
        (root / name).rename(root / f"{name} is a label of many letters")
    (root / "b is a label of many letters" / "1.png").rename(root / "b is a label of many letters" / f"{'日' * 20}.png")
    index_images(artifact, [root], root / "index", device="cpu")
    query = root / "a is a label of many letters" / "0.png"
    figure = draw(search_images(root / "index", [query], k=2, device="cpu"))
    captions = [axis.texts[0].get_text().split("\n") for axis in figure.axes[1:]]
    assert {(caption[0], caption[2]) for caption in captions} == {
        ("a is a label of many l…", "… of many letters/0.png"),
        ("b is a label of many l…", f"…{'日' * 9}.png"),
    }


def test_a_picture_whose_path_is_none_is_an_empty_place(artifact: Path, folder: Callable[[int], Path]) -> None:
    root = folder(1)
    index_images(artifact, [root], root / "index", device="cpu")
    answers = search_images(root / "index", [root / "a" / "0.png"], device="cpu")
    figure = draw(replace(answers, root="/a\0b"))
    assert [axis.texts[0].get_text().partition(":")[0] for axis in figure.axes[1:]] == ["no picture"]


def test_an_object_is_drawn_where_it_lies(artifact: Path, tmp_path: Path) -> None:
    """With its class and score in the place of the labels; the query has the box that was searched by."""
    root = photos(tmp_path / "photos")
    index_images(artifact, [root], tmp_path / "index", objects=Seer(), device="cpu")
    query = root / "a" / "both.png"
    figure = draw(search_images(tmp_path / "index", [query], dot=(9, 9), objects=True, k=1, device="cpu"))
    asked, answer = figure.axes
    assert asked.patches[0].get_bbox().extents.tolist() == list(RED)
    assert answer.patches[0].get_bbox().extents.tolist() == list(RED)
    assert answer.texts[0].get_text().split("\n")[0] == "red 0.90"
