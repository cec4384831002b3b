import base64
import io
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from dqh.codes import pack
from dqh.evaluation.code_map import code_map
from dqh.evaluation.health import LARGEST_MATRIX, code_health
from dqh.evaluation.report.health_plots import (
    NEGATIVE,
    POSITIVE,
    balance,
    collisions,
    correlation,
    entropy,
    health_pictures,
    map_of_codes,
    saturation,
)

MAKERS = {picture.__name__: picture for picture in (balance, entropy, correlation, collisions, saturation)}
BLUE, ORANGE, GREEN = (f"var(--series-{place}," for place in (1, 2, 3))


def health_of(bits, *, embedded=True):
    values = np.where(bits, 0.97, 0.3)
    return code_health(pack(bits), bits=bits.shape[1], embedding=values if embedded else None).to_json()


BITS = np.random.default_rng(0).random((40, 12)) < np.linspace(0, 1, 12)
HEALTH = health_of(BITS)


@pytest.fixture(scope="module", params=MAKERS)
def picture(request):
    return request.param, MAKERS[request.param](HEALTH)


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("text")]


def bars(svg, colour):
    """(left, right, bottom, top) of each bar of a colour, heights upwards from the foot of the picture."""
    height = float(ElementTree.fromstring(svg).get("viewBox").split()[3])
    found = []
    for path in re.findall(r'<path d="([^"]*)"[^>]*style="fill: ' + re.escape(colour), svg):
        for bar in path.split("z"):
            corners = np.array([pair.split() for pair in re.findall(r"[ML] ([\d.]+ [\d.]+)", bar)], float)
            if len(corners) >= 4:
                ys = height - corners[:, 1]
                found.append((corners[:, 0].min(), corners[:, 0].max(), ys.min(), ys.max()))
    return np.array(sorted(found))


def images(svg):
    """RGBA pixels of each embedded image."""
    coded = re.findall(r'href="data:image/png;base64,\s*([^"]*)"', svg)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(code)))) for code in coded]


def test_a_picture_is_well_formed_and_brings_neither_scripts_nor_styles_nor_addresses(picture):
    _, svg = picture
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert not {"script", "style", "metadata"} & {element.tag for element in root.iter()}
    assert "http" not in svg


def test_ids_are_unique_start_with_the_name_and_every_reference_finds_its_target(picture):
    name, svg = picture
    ids = re.findall(r'\bid="([^"]*)"', svg)
    references = {a or b for a, b in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)}
    assert len(ids) == len(set(ids))
    assert all(one.startswith(f"{name}-") for one in ids)
    assert references <= set(ids)


def test_the_same_numbers_give_the_same_text_and_leave_the_settings_of_matplotlib_alone(picture):
    name, svg = picture
    before = dict(matplotlib.rcParams)
    assert MAKERS[name](HEALTH) == svg
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_to_draw_is_none(name):
    assert MAKERS[name]({}) is None


def test_what_was_not_measured_is_not_drawn():
    assert saturation(health_of(BITS, embedded=False)) is None
    assert correlation(health_of(BITS[:, :1])) is None
    assert correlation(health_of(np.ones((2, LARGEST_MATRIX + 1), bool))) is None


def test_bars_of_balance_go_up_and_down_from_one_half_and_constant_bits_are_orange():
    """Shares of ones 1, .75 and .25 of four items: heights .5, .25 and −.25 of the axis; the first is constant."""
    svg = balance(health_of(np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0], [1, 0, 1]], bool)))
    ((_, _, middle, top),) = bars(svg, ORANGE)
    (_, _, foot, up), (_, _, down, head) = bars(svg, BLUE)
    assert middle == pytest.approx(foot) == pytest.approx(head)
    assert [up - foot, head - down] == pytest.approx([(top - middle) / 2] * 2, abs=1e-3)


def test_bars_of_entropy_and_its_totals():
    """Bits with 1/2 and 1/4 of ones: entropies 1 and .81, 1.8 together; log2 4 = 2; groups of 1, 1 and 2: 1.5 bits."""
    svg = entropy(health_of(np.array([[1, 1], [1, 0], [0, 0], [0, 0]], bool)))
    ((_, _, foot, low), (_, _, _, high)) = sorted(bars(svg, BLUE), key=lambda bar: bar[3])[-2:]
    found = texts(svg)
    assert (low - foot) / (high - foot) == pytest.approx(0.8113, abs=1e-3)
    assert {"bits of a code", "sum over the bits", "log2 of the items", "whole codes"} <= set(found)
    assert [text for text in found if re.fullmatch(r"\d\.\d", text)][-4:] == ["2.0", "1.8", "2.0", "1.5"]


def test_the_heat_map_has_a_pixel_a_pair_whose_opacity_is_the_correlation():
    """Bit 1 is the opposite of bit 0, bit 2 independent of both, bit 3 constant."""
    bits = np.array([[0, 1, 0, 1], [0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 1, 1]], bool)
    heat, scale = images(correlation(health_of(bits)))
    assert heat[..., 3].tolist() == [[255, 255, 0, 0], [255, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 0]]
    assert tuple(heat[0, 0, :3]) == tuple(heat[2, 2, :3]) == POSITIVE
    assert tuple(heat[0, 1, :3]) == tuple(heat[1, 0, :3]) == NEGATIVE
    assert scale[[0, -1], 0, 3].tolist() == [255, 255]
    assert tuple(scale[0, 0, :3]) == POSITIVE


def test_bars_of_collisions_are_shares_of_items():
    """Codes of 1, 1, 2 and 4 items: 2 of 8 alone, 2 in a pair, 4 in a group of 3–4; none in 5–8."""
    number = np.array([0, 1, 2, 2, 3, 3, 3, 3])
    svg = collisions(health_of((number[:, None] >> np.arange(2) & 1).astype(bool)))
    heights = np.diff(bars(svg, BLUE)[:, 2:], axis=1).ravel()
    assert heights / heights.max() == pytest.approx([0.5, 0.5, 1, 0], abs=1e-3)
    assert {"1", "2", "3–4", "5–8", "25\u00a0%", "50\u00a0%"} <= set(texts(svg))


def test_many_sizes_of_groups_have_a_name_each():
    svg = collisions(health_of(np.ones((5000, 1), bool)))
    assert {"1", "2", "1,025–2,048", "4,097–8,192", "100"} <= set(texts(svg))


def test_small_shares_beside_one_another_leave_room():
    """1, 2 and 4 of 4,007 items, each in a bar of its own."""
    number = np.repeat(np.arange(4), (1, 2, 4, 4000))
    svg = collisions(health_of((number[:, None] >> np.arange(2) & 1).astype(bool)))
    assert texts(svg).count("<0.1") == 3
    assert not [text for text in texts(svg) if "under" in text]


def test_bars_of_saturation_have_ends_and_middle_in_their_colours():
    """Four values of .02, two of .5 and two of .3: parts 0, 10 and 6 with 1/2, 1/4 and 1/4."""
    values = np.array([[0.02] * 4, [0.5, 0.5, 0.3, 0.3]])
    svg = saturation(code_health(pack(values > 0.5), bits=4, embedding=values).to_json())
    heights = [np.diff(bars(svg, colour)[:, 2:], axis=1).ravel().max() for colour in (ORANGE, GREEN, BLUE)]
    assert heights == pytest.approx([heights[0], heights[0] / 2, heights[0] / 2], abs=1e-3)
    assert [len(bars(svg, colour)) for colour in (ORANGE, GREEN, BLUE)] == [2, 2, 16]
    assert ElementTree.fromstring(svg).get("aria-label") == (
        "Saturation: 50\u00a0% of the values at the ends, 25\u00a0% undecided"
    )


def test_the_axis_of_saturation_is_the_range_of_the_embedding():
    values = np.array([[-1.0, 0.5]])
    svg = saturation(code_health(pack(values > 0), bits=2, embedding=values, low=-1).to_json())
    assert {"−1", "−0.5", "0", "0.5", "1"} <= set(texts(svg))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [128, 256])
def test_pictures_of_many_bits_stay_small(bits):
    values = np.random.default_rng(0).random((100, bits)) < 0.5
    sizes = {one.name: len(one.svg) for one in health_pictures(health_of(values))}
    assert max(sizes.values()) < (150_000 if bits <= 128 else 250_000)
    assert len(bars(balance(health_of(values)), BLUE)) == bits


def test_all_pictures_come_with_a_legend_and_ids_of_their_own():
    mapped = code_map(pack(BITS), np.arange(40) % 3, bits=12, class_names=["a", "b", "c"])
    pictures = health_pictures(HEALTH, mapped)
    assert [one.name for one in pictures] == [*MAKERS, "map"]
    assert all("40 codes of 12 bits." in one.legend for one in pictures[:-1])
    assert pictures[-1].legend.startswith("40 of 40 items (all)")
    assert pictures[-1].svg == map_of_codes(mapped, name="health-map")
    ids = [each for one in pictures for each in re.findall(r'\bid="([^"]*)"', one.svg)]
    assert len(ids) == len(set(ids))
    assert all(each.startswith("health-") for each in ids)


def test_pictures_without_numbers_are_none():
    assert health_pictures(None) == health_pictures({}) == []
    assert [one.name for one in health_pictures(health_of(BITS[:, :1], embedded=False))] == [
        "balance",
        "entropy",
        "collisions",
    ]
