"""The colours of a photo, by names of CSS: which there are, and how much of the photo each covers."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

PALETTE = (
    *("black", "dimgray", "gray", "silver", "white", "beige", "khaki", "tan", "sienna", "saddlebrown", "maroon"),
    *("indianred", "red", "rosybrown", "pink", "fuchsia", "violet", "purple", "lavender", "midnightblue", "navy"),
    *("blue", "steelblue", "skyblue", "turquoise", "teal", "darkslategray", "darkgreen", "green", "seagreen", "lime"),
    *("olive", "yellow", "gold", "orange"),
)
"""Names that a colour may have: of the 148 of CSS (Color Module Level 4, §6.1) those by which people call colours."""

_SIDE = 64
"""Pixels of the longer side that are looked at."""

_MEDIANS = 16
"""Colours that a photo is brought down to before they are named."""

_WHITE = np.array([0.95047, 1.0, 1.08883])
"""X, Y, Z of white under D65."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""From linear sRGB (IEC 61966-2-1)."""


class Colour(NamedTuple):
    """A colour of a photo.

    Attributes:
        name: of `PALETTE`.
        hex: the mean of the pixels that are called so, as `#rrggbb`.
        share: of the pixels that are called so, 0 … 1.
    """

    name: str
    hex: str
    share: float


def dominant_colours(image: Image.Image, *, most: int = 5, least: float = 0.05) -> tuple[Colour, ...]:
    """The colours that cover most of an image, by falling share, equal ones in the order of `PALETTE`.

    The image is made small, brought down to 16 colours by median cut (Heckbert 1982, by Pillow), and each of these gets
    the name that is nearest in CIELAB; those of one name are one colour.

    Args:
        image: RGB.
        most: colours at most, at least 1.
        least: share of the pixels from which on a colour counts, 0 … 1.

    Example:
        >>> dominant_colours(Image.new("RGB", (8, 8), "#d01010"))
        (Colour(name='red', hex='#d01010', share=1.0),)
    """
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    reduced = small.quantize(_MEDIANS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    numbers = np.asarray(reduced).ravel()
    rgb = np.array(reduced.getpalette(), np.float64).reshape(-1, 3)[: numbers.max() + 1]
    names, pixels = nearest_names(rgb), np.bincount(numbers, minlength=len(rgb)).astype(np.float64)
    colours = []
    for name in np.unique(names[pixels > 0]).tolist():
        own = pixels * (names == name)
        red, green, blue = np.rint(own @ rgb / own.sum()).astype(int).tolist()
        colours.append(
            (name, Colour(PALETTE[name], f"#{red:02x}{green:02x}{blue:02x}", float(own.sum() / len(numbers))))
        )
    colours.sort(key=lambda pair: (-pair[1].share, pair[0]))
    return tuple(colour for _, colour in colours[:most] if colour.share >= least)


def nearest_names(rgb: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) place in `PALETTE` of the colour that is nearest to each of (n, 3) in sRGB, 0 … 255, by ΔE*ab (CIE 1976)."""
    palette = lab(np.array([ImageColor.getrgb(name) for name in PALETTE], np.float64))
    return np.asarray(((lab(rgb)[:, None] - palette) ** 2).sum(axis=2).argmin(axis=1), np.int64)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) L*, a*, b* (CIE 1976, D65) of colours (n, 3) in sRGB, 0 … 255.

    Example:
        >>> lab(np.array([[255.0, 0.0, 0.0]])).round(1)
        array([[53.2, 80.1, 67.2]])
    """
    share = np.asarray(rgb, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _TO_XYZ.T / _WHITE
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
