import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from dqh.evaluation.report.grid import EXACT, Grid, GridResult, GridRow, render_grid


def picture(seed, side=8, width=None):
    return np.random.default_rng(seed).integers(0, 256, (3, side, width or side), dtype=np.uint8)


def grid_of(images, *, count=1, **fields):
    results = [GridResult(image, f"label {i}", i, i % 2 == 0, f"id/{i}") for i, image in enumerate(images)]
    return Grid([GridRow(picture(99), "the query", "id/q", results)] * count, **fields)


class Images(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def images(markup):
    parser = Images()
    parser.feed(markup)
    return parser.found


def decoded(attributes):
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.+)", attributes["src"]).groups()
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.format.lower() == kind
    return np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)


def test_small_pictures_arrive_pixel_by_pixel_query_first_and_enlarged_by_a_whole_factor():
    own, first = picture(99), picture(0, side=16)
    shown = images(render_grid(grid_of([first])))
    np.testing.assert_array_equal(decoded(shown[0]), own)
    np.testing.assert_array_equal(decoded(shown[1]), first)
    assert [(image["width"], image["height"]) for image in shown] == [("80", "80"), ("80", "80")]
    assert all(image["class"] == "pixels" for image in shown)


@pytest.mark.parametrize(("side", "shown"), [(8, 80), (28, 84), (32, 64), (48, 96), (200, 80)])
def test_the_side_on_the_page_is_a_whole_multiple_up_to_the_limit_of_exact_pictures(side, shown):
    image = images(render_grid(grid_of([picture(0, side)])))[1]
    assert image["width"] == str(shown)
    assert ("class" in image) == (side <= EXACT)


def test_large_pictures_are_shrunk_to_128_pixels_in_their_shape():
    image = images(render_grid(grid_of([picture(0, side=300, width=600)])))[1]
    assert decoded(image).shape == (3, 64, 128)
    assert (image["width"], image["height"]) == ("80", "40")


def test_many_large_pictures_are_shrunk_further_so_that_the_page_stays_small():
    """Noise is the worst case for compression: 30 rows of 11 pictures of 128 pixels would be some 6 MB."""
    noise = [picture(seed, side=128) for seed in range(10)]
    assert len(render_grid(grid_of(noise, count=30))) < 2_000_000


def test_only_the_first_ten_results_are_shown_and_counted():
    markup = render_grid(grid_of([picture(i) for i in range(14)]))
    assert len(images(markup)) == 11
    assert markup.count('class="hit"') == markup.count('class="miss"') == 5
    assert "5 of 10 ✓" in markup
    assert "label 9" in markup
    assert "label 10" not in markup


def test_relevance_is_told_by_frame_sign_and_text():
    hit, miss = images(render_grid(grid_of([picture(0), picture(1)], unit="bits")))[1:]
    assert hit["alt"] == "label 0, relevant, distance 0 bits"
    assert miss["alt"] == "label 1, not relevant, distance 1 bits"
    cells = re.findall(r'<td class="(\w+)">.*?<b>(.)</b> ([^<]*)</small>', render_grid(grid_of([picture(0)] * 2)))
    assert cells == [("hit", "✓", "0"), ("miss", "✗", "1")]


@pytest.mark.parametrize(
    ("distance", "text"), [(3.0, "3"), (1.23456, "1.23"), (np.float32(0.5), "0.500"), (float("inf"), "∞")]
)
def test_distances_are_whole_or_have_three_digits(distance, text):
    result = GridResult(picture(0), "a", distance, True, "id")
    assert f"</b> {text}</small>" in render_grid(Grid([GridRow(picture(1), "a", "q", [result])]))


def test_labels_and_ids_are_escaped():
    evil = '"><script>alert(1)</script>'
    result = GridResult(picture(0), evil, 1.0, True, evil)
    markup = render_grid(Grid([GridRow(picture(1), evil, evil, [result])]))
    assert "<script" not in markup
    assert images(markup)[1]["title"] == f"{evil} · {evil}"


def test_a_missing_picture_leaves_its_place():
    markup = render_grid(grid_of([None, picture(1)]))
    assert len(images(markup)) == 2
    assert markup.count("no picture") == 1
    assert "✓" in markup


@pytest.mark.parametrize("grid", [Grid(), Grid([GridRow(None, "a", "q", [GridResult(None, "b", 1.0, True, "i")])])])
def test_without_any_picture_there_is_no_grid(grid):
    assert render_grid(grid) is None


def test_a_query_without_results_keeps_its_row():
    markup = render_grid(Grid([GridRow(picture(1), "alone", "q", [])]))
    assert "0 of 0" in markup
    assert len(images(markup)) == 1


def test_rows_stand_in_their_groups_best_first_then_typical_then_worst_then_the_others():
    rows = [
        GridRow(picture(1), name, "q", [], group=group)
        for name, group in (("w", "worst"), ("o", "other"), ("b", "best"), ("n", ""), ("t", "typical"), ("v", "worst"))
    ]
    markup = render_grid(Grid(rows))
    texts = re.findall(r'<tr class="group"><th scope="rowgroup" colspan="1"><b>(\w+)|alt="query, (\w+)"', markup)
    order = [heading or query for heading, query in texts]
    assert order == ["Best", "b", "Typical", "t", "Worst", "w", "v", "other", "o", "n"]


def test_a_heading_spans_all_columns_and_without_groups_there_is_none():
    one = grid_of([picture(0)] * 3)
    assert 'colspan="4"' in render_grid(one._replace(rows=[one.rows[0]._replace(group="best")]))
    assert "rowgroup" not in render_grid(one)


@pytest.mark.parametrize(("score", "text"), [(0.93126, ["0.931"]), (1, ["1.000"]), (None, []), (float("nan"), [])])
def test_the_score_of_a_query_stands_below_it(score, text):
    markup = render_grid(Grid([GridRow(picture(1), "a", "q", [], score=score)]))
    assert re.findall(r">AP ([^<]*)<", markup) == text


def test_the_name_of_a_group_is_escaped():
    assert "<script" not in render_grid(Grid([GridRow(picture(1), "a", "q", [], group="<script>")]))
