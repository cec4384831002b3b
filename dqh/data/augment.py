"""Random crops, flips, affine maps and hidden squares of a whole batch at once, on the device where the batch is.

Colour changes are not here: none of the recipes measured so far needs one.

Random numbers follow from a seed and the key of each sample, the same in every batch, process and device, by a
counter-based generator: number c of a sample is a hash of (seed, key, c), by the finaliser of SplitMix64 (Steele, Lea
and Flood, OOPSLA 2014), so nothing is drawn in turn and nothing has to reach a device but the keys.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dqh.errors import ConfigError

_GOLDEN = -0x61C8864680B583EB  # 2^64 / φ, odd, as a signed number
_MIX = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
_MASK = 2**64 - 1


class KeyedDraws:
    """Draws for the samples of a batch; each call takes the numbers that follow those of the last one.

    Args:
        seed: 0 … 2⁶³ − 1, of one purpose at one time, such as the views of one epoch.
        keys: (N,) int64, who is who: equal keys draw equal numbers.

    Example:
        >>> all_of_it = KeyedDraws(7, torch.tensor([3, 5, 8])).uniform(2)
        >>> torch.equal(all_of_it[1:], KeyedDraws(7, torch.tensor([5, 8])).uniform(2))
        True
    """

    def __init__(self, seed: int, keys: Tensor) -> None:
        start = _signed(_mixed((seed + 1) * (_GOLDEN & _MASK) & _MASK))
        self._state = _hash(keys * _GOLDEN + start)
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._state)

    def uniform(self, count: int) -> Tensor:
        """(N, count) float32 in [0, 1), multiples of 2⁻²⁴."""
        return _high(self._next(count), 24).float() * 2**-24

    def integers(self, bound: int, count: int) -> Tensor:
        """(N, count) int64 of 0 … `bound` − 1; their probabilities differ by less than `bound` / 2³² of each."""
        return _high(self._next(count), 32) * bound >> 32

    def normal(self, count: int) -> Tensor:
        """(N, count) float32 of mean 0 and variance 1 (Box and Muller 1958)."""
        radius = (-2 * torch.log1p(-self.uniform(count))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(count))

    def _next(self, count: int) -> Tensor:
        """(N, count) int64, all 64 bits random."""
        places = torch.arange(self._drawn + 1, self._drawn + count + 1, device=self._state.device)
        self._drawn += count
        return _hash(self._state[:, None] + places * _GOLDEN)


def _hash(values: Tensor) -> Tensor:
    """SplitMix64's finaliser of int64, modulo 2⁶⁴."""
    values = (values ^ _shifted(values, 30)) * _MIX[0]
    values = (values ^ _shifted(values, 27)) * _MIX[1]
    return values ^ _shifted(values, 31)


def _mixed(value: int) -> int:
    """The same of one number, 0 … 2⁶⁴ − 1."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        value = (value ^ value >> shift) * (factor & _MASK) & _MASK
    return value ^ value >> 31


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Shifted to the right with zeros from the left; `>>` alone brings the sign."""
    return values >> bits & (1 << 64 - bits) - 1


def _high(values: Tensor, bits: int) -> Tensor:
    """The highest bits, as numbers of at least 0."""
    return values >> 64 - bits & (1 << bits) - 1


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


@dataclass(frozen=True)
class Augment:
    """A random view of each image of a batch.

    One draw an image: an affine map about the centre (rotation, scale, shear, shift), then a random crop and a flip,
    then a hidden square. Where no affine parameter is set, pixels are only moved, never interpolated.

    Args:
        padding: pixels added on every side before the random crop.
        padding_mode: what these are: `zeros`, or `reflect` for the picture mirrored at its edge.
        flip: mirror left to right with probability 1/2.
        rotation: largest angle either way, degrees.
        scale: largest relative change of size either way, 0 … 1.
        shear: largest shear angle either way, degrees.
        shift: largest translation either way as a fraction of the side, 0 … 1, with interpolation.
        warp: strength of a smooth random displacement field, pixels (Simard et al. 2003); 0 for none.
        warp_cells: cells a side of the coarse grid on which the displacement is drawn.
        cutout: side of a square of the mean colour that hides a part of every view, pixels; 0 for none. Its centre is
            any pixel of the view with equal probability, so that the border may cut it (DeVries & Taylor 2017, §3.2,
            arXiv:1708.04552). Their code makes an odd side one pixel smaller; here it is what it says.

    Raises:
        ConfigError: a parameter is negative, `scale` is 1 or more, or `warp_cells` is below 1.
    """

    padding: int = 0
    padding_mode: Literal["zeros", "reflect"] = "zeros"
    flip: bool = False
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    warp: float = 0.0
    warp_cells: int = 4
    cutout: int = 0

    def __post_init__(self) -> None:
        amounts = ("padding", "rotation", "scale", "shear", "shift", "warp", "cutout")
        least = dict.fromkeys(amounts, 0) | {"warp_cells": 1}
        wrong = [
            f"{name} must be at least {bound}, got {getattr(self, name)}"
            for name, bound in least.items()
            if not getattr(self, name) >= bound
        ]
        if self.padding_mode not in ("zeros", "reflect"):
            wrong.append(f"padding_mode must be zeros or reflect, got {self.padding_mode!r}")
        if self.scale >= 1:
            wrong.append(f"scale must be below 1, got {self.scale}")
        if wrong:
            raise ConfigError(wrong)

    def words(self, size: int, resize: int) -> str:
        """What is done to images of `resize` pixels a side for views of `size`, in words; empty for nothing.

        Example:
            >>> Augment(padding=4, flip=True).words(32, 32)
            'shifted by up to 4 pixels (zeros), mirrored left to right'
            >>> Augment().words(224, 256)
            'a random 224 of 256 pixels'
        """
        amounts = {
            "rotated by up to {:g}°": self.rotation,
            "sheared by up to {:g}°": self.shear,
            "scaled by up to {:.0%}": self.scale,
            "moved by up to {:.0%} of the side": self.shift,
            "warped by about {:g} pixels": self.warp,
            "a square of {:g} pixels hidden": self.cutout,
        }
        parts = [f"a random {size} of {resize} pixels"] if size < resize else []
        parts += [f"shifted by up to {self.padding} pixels ({self.padding_mode})"] if self.padding else []
        parts += ["mirrored left to right"] if self.flip else []
        parts += [words.format(amount) for words, amount in amounts.items() if amount]
        return ", ".join(parts)

    def __call__(
        self, images: Tensor, size: int, *, draws: KeyedDraws, mean: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> Tensor:
        """Draw one view of each image.

        Args:
            images: (N, 3, R, R), uint8 or float32, raw values 0 … 255.
            size: side S of the views, pixels, at most R + 2 · padding.
            draws: of these N images, on their device: an image's view follows from its key, whoever else is there.
            mean: colour of what `cutout` hides, a number in 0 … 1 for each channel: the mean that the network subtracts
                (`InputSpec.mean`), so that it sees 0 there.

        Returns:
            (N, 3, S, S) float32 in channels-last order, raw values 0 … 255.

        Raises:
            ValueError: `size` is larger than the padded images, `padding` is too large to mirror so much of them, or
                there are draws for another number of images.
        """
        largest = images.shape[-1] + 2 * self.padding
        if not 1 <= size <= largest:
            raise ValueError(f"size must be in 1 … {largest} (the images' side and twice the padding), got {size}")
        if self.padding_mode == "reflect" and self.padding >= images.shape[-1]:
            raise ValueError(f"padding by reflection must be below the images' {images.shape[-1]}, got {self.padding}")
        if len(draws) != len(images):
            raise ValueError(f"draws must be for the {len(images)} images, got draws for {len(draws)}")
        if self.rotation or self.scale or self.shear or self.shift or self.warp:
            images = self._deform(images.float(), draws)
        views = self._crop_and_flip(images, size, draws)
        views = views.to(torch.float32, memory_format=torch.channels_last)  # until here, bytes are moved as bytes
        return _hide(views, self.cutout, mean=mean, draws=draws) if self.cutout else views

    def _deform(self, images: Tensor, draws: KeyedDraws) -> Tensor:
        """Affine map and displacement field, drawn anew for each image; what enters from outside is 0."""
        grid = functional.affine_grid(self._affine_maps(draws), list(images.shape), align_corners=False)
        if self.warp:
            grid = grid + self._displacements(images.shape[-2:], draws)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def _affine_maps(self, draws: KeyedDraws) -> Tensor:
        """(N, 2, 3) from output to input coordinates, in units of half a side: rotation · shear · zoom | shift."""
        amounts = (
            math.radians(self.rotation),
            math.radians(self.shear),
            self.scale,
            self.scale,
            *(2 * self.shift,) * 2,
        )
        drawn = (draws.uniform(len(amounts)) * 2 - 1).unbind(1)
        angle, shear, zoom_x, zoom_y, shift_x, shift_y = (u * amount for u, amount in zip(drawn, amounts, strict=True))
        zoom_x, zoom_y = 1 + zoom_x, 1 + zoom_y
        cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
        x = torch.stack([cos * zoom_x, (cos * tan - sin) * zoom_y, shift_x], dim=1)
        y = torch.stack([sin * zoom_x, (sin * tan + cos) * zoom_y, shift_y], dim=1)
        return torch.stack([x, y], dim=1)

    def _displacements(self, sides: Sequence[int], draws: KeyedDraws) -> Tensor:
        """(N, height, width, 2) smooth random displacements, in units of half a side."""
        height, width = sides
        coarse = draws.normal(2 * self.warp_cells**2) * (2 * self.warp / width)
        coarse = coarse.view(len(draws), 2, self.warp_cells, self.warp_cells)
        field = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
        return field.permute(0, 2, 3, 1)

    def _crop_and_flip(self, images: Tensor, size: int, draws: KeyedDraws) -> Tensor:
        """(N, 3, R, R) to (N, 3, S, S): one offset and one coin an image, pixels moved only and each of them once."""
        count, _, side, _ = images.shape
        free = side + 2 * self.padding - size
        if free == 0 and not self.padding and not self.flip:
            return images
        offsets = draws.integers(free + 1, 2) - self.padding
        span = torch.arange(size, device=images.device)
        rows, columns = offsets[:, :1] + span, offsets[:, 1:] + span  # (N, S), −padding … R + padding − 1
        if self.flip:
            columns = torch.where(draws.integers(2, 1) == 0, columns.flip(1), columns)
        inside_rows, inside_columns = (_inside(places, side) for places in (rows, columns))
        picked = torch.arange(count, device=images.device)[:, None, None]
        views = images.permute(0, 2, 3, 1)[picked, inside_rows[:, :, None], inside_columns[:, None, :]]
        if self.padding and self.padding_mode == "zeros":
            of_image = (rows == inside_rows)[:, :, None] & (columns == inside_columns)[:, None, :]
            views = views * of_image[..., None]
        return views.permute(0, 3, 1, 2)


def _inside(places: Tensor, side: int) -> Tensor:
    """Places beyond 0 … `side` − 1 mirrored at the first and the last of these."""
    last = side - 1
    return (last - (last - places.abs()).abs()).clamp_(min=0)  # the latter for zeros padded wider than the image


def _hide(views: Tensor, side: int, *, mean: Sequence[float], draws: KeyedDraws) -> Tensor:
    """(N, 3, S, S) with a square of `side` pixels of the colour `mean` in each, as far as it lies inside."""
    size = views.shape[-1]
    # along each axis: centre c in 0 … S - 1, the square covers c - side // 2 … c - side // 2 + side - 1
    first = draws.integers(size, 2)[:, :, None] - side // 2
    pixels = torch.arange(size, device=views.device)
    rows, columns = ((first <= pixels) & (pixels < first + side)).unbind(1)
    hidden = rows[:, None, :, None] & columns[:, None, None, :]
    colour = 255 * torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1)
    return torch.where(hidden, colour.to(views.device, non_blocking=True), views)
