"""The picture of queries and answers."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dqh.indexing import index_images, search_images
from dqh.indexing.picture import draw, save


def test_a_line_a_query_with_captions(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(4), tmp_path / "index"
    index_images(artifact, [root], index, device="cpu")
    queries = [root / "a" / "0.png", root / "b" / "1.png"]
    answers = search_images(index, queries, k=3, box=(0, 0, 24, 20), device="cpu")
    (root / "a" / "2.png").unlink()
    figure = draw(answers, box=(0, 0, 24, 20))
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
