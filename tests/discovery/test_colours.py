"""Colours of photos by names of CSS."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from dqh.discovery.colours import PALETTE, Colour, dominant_colours, lab, nearest_names


def test_shares_of_a_photo_of_three_colours() -> None:
    """40 columns of red, 40 of white and 20 of navy, of 100: reduced to 64, in which a column is 1.56 of them."""
    image = Image.new("RGB", (100, 50), "white")
    image.paste("red", (0, 0, 40, 50))
    image.paste("navy", (80, 0, 100, 50))
    colours = dominant_colours(image)
    shares = {colour.name: colour.share for colour in colours}
    assert shares["red"] == pytest.approx(0.4, abs=0.02)
    assert shares["white"] == pytest.approx(0.4, abs=0.02)
    assert shares["navy"] == pytest.approx(0.2, abs=0.02)
    assert [colour.share for colour in colours] == sorted(shares.values(), reverse=True)


def test_shades_of_one_name_are_one_colour() -> None:
    """Half #d00000 and half #f00000, both nearest to red: one colour, of their mean."""
    image = Image.new("RGB", (64, 64), "#d00000")
    image.paste("#f00000", (0, 0, 64, 32))
    assert dominant_colours(image) == (Colour("red", "#e00000", 1.0),)


def test_few_and_small_colours_are_left_out() -> None:
    image = Image.new("RGB", (64, 64), "white")
    image.paste("lime", (0, 0, 64, 20))
    image.paste("black", (0, 60, 64, 62))
    assert [colour.name for colour in dominant_colours(image)] == ["white", "lime"]
    assert [colour.name for colour in dominant_colours(image, most=1)] == ["white"]
    assert [colour.name for colour in dominant_colours(image, least=0.01)] == ["white", "lime", "black"]


def test_every_name_is_of_css_and_nearest_to_itself() -> None:
    rgb = np.array([ImageColor.getrgb(name) for name in PALETTE], np.float64)
    assert nearest_names(rgb).tolist() == list(range(len(PALETTE)))
    assert len(set(map(tuple, rgb.tolist()))) == len(PALETTE)


def test_lab_of_published_values() -> None:
    """As http://www.brucelindbloom.com computes them: sRGB, D65, no adaptation."""
    values = lab(np.array([[255, 255, 255], [0, 0, 0], [0, 0, 255], [119, 119, 119]], np.float64))
    wanted = [[100, 0, 0], [0, 0, 0], [32.30, 79.19, -107.86], [50.03, 0, 0]]
    assert np.abs(values - wanted).max() < 0.02


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_any_mode_and_one_pixel(mode: str) -> None:
    assert dominant_colours(Image.new("RGB", (1, 1), "black").convert(mode)) == (Colour("black", "#000000", 1.0),)
