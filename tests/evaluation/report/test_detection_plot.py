import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from dqh.evaluation.detection_photos import ShownPhoto, match_photos
from dqh.evaluation.report.detection_plot import KINDS, detection_plot, draw_photos
from tests.evaluation.detected import found, true

NAMES = ["cow", "dog$x$"]


@pytest.fixture
def photos():
    """One best photo with every kind of box, one worst without a true box."""
    truth = [true((0, 0, 0, 10, 10), (0, 20, 20, 30, 30), (1, 40, 0, 60, 30, True)), true()]
    boxes = found([(0, 0.9, 0, 0, 10, 10), (1, 0.8, 0, 15, 9, 25), (1, 0.7, 42, 2, 50, 9)], [(1, 0.5, 0, 0, 50, 20)])
    best, worst = match_photos(truth, boxes)
    image = np.full((40, 60, 3), 120, np.uint8)
    return [
        ShownPhoto("best", "images/a<b>.jpg", image, (60, 40), best),
        ShownPhoto("worst", "images/" + "x" * 50 + ".jpg", image[:30], (60, 30), worst),
    ]


def test_a_row_a_group_with_photos_and_captions(photos):
    text = detection_plot(photos, NAMES)
    svg = ElementTree.fromstring(text)
    assert sum(part.tag == "image" for part in svg.iter()) == 2
    words = ["".join(part.itertext()).strip() for part in svg.iter() if part.tag == "text"]
    assert "Best photos by F1" in words
    assert "Worst photos, where to look for what goes wrong" in words
    assert "Typical photos, around the median" not in words
    assert "F1 0.50 · 1 of 2 found, 1 wrong" in words
    assert "F1 0.00 · nothing to find, 1 wrong" in words
    assert "a<b>.jpg" in words
    assert "…" + "x" * 29 + ".jpg" in words
    assert {*KINDS} <= {*words}
    assert {"cow 0.90", "dog$x$ 0.80", "dog$x$ 0.70", "dog$x$ 0.50", "cow", "dog$x$"} <= {*words}
    assert svg.attrib["aria-label"] == "Photos with true and found boxes: best F1 0.50, worst F1 0.00"
    assert len(re.findall('id="photos-', text)) == len(re.findall(' id="', text))


def test_the_same_photos_give_the_same_text(photos):
    assert detection_plot(photos, NAMES) == detection_plot(photos, NAMES)


def test_no_photos_no_picture():
    assert detection_plot([], NAMES) is None


def test_boxes_lie_where_they_are_and_look_as_the_legend_says(photos):
    figure = Figure(layout="constrained")
    draw_photos(figure, photos, NAMES)
    axis = figure.axes[0]
    drawn = {(patch.get_xy(), patch.get_width(), patch.get_height()): patch for patch in axis.patches}
    kinds = {
        ((0, 0), 10, 10): ["true, found", "found, right"],
        ((20, 20), 10, 10): ["true, missed"],
        ((40, 0), 20, 30): ["difficult, or found in one"],
        ((0, 15), 9, 10): ["found, wrong"],
        ((42, 2), 8, 7): ["difficult, or found in one"],
    }
    assert drawn.keys() == kinds.keys()
    looks = [(patch.get_xy(), patch.get_linestyle()) for patch in axis.patches]
    assert looks == [
        ((0, 0), "--"),
        ((20, 20), "--"),
        ((40, 0), ":"),
        ((0, 0), "-"),
        ((0, 15), "-"),
        ((42, 2), ":"),
    ]
    assert list(axis.get_images()[0].get_extent()) == [0, 60, 40, 0]
    assert [text.get_text() for text in axis.texts] == ["cow", "dog$x$", "cow 0.90", "dog$x$ 0.80", "dog$x$ 0.70"]
