"""Random crops, flips, affine maps and hidden squares of a whole batch at once, on the device where the batch is.

Colour changes are not here: none of the recipes measured so far needs one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dqh.errors import ConfigError


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

    def __call__(
        self, images: Tensor, size: int, *, generator: torch.Generator, mean: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> Tensor:
        """Draw one view of each image.

        Args:
            images: (N, 3, R, R), uint8 or float32, raw values 0 … 255.
            size: side S of the views, pixels, at most R + 2 · padding.
            generator: source of all randomness, on the CPU, so that every device draws the same views.
            mean: colour of what `cutout` hides, a number in 0 … 1 for each channel: the mean that the network subtracts
                (`InputSpec.mean`), so that it sees 0 there.

        Returns:
            (N, 3, S, S) float32, raw values 0 … 255.

        Raises:
            ValueError: `size` is larger than the padded images.
        """
        largest = images.shape[-1] + 2 * self.padding
        if not 1 <= size <= largest:
            raise ValueError(f"size must be in 1 … {largest} (the images' side and twice the padding), got {size}")
        images = images.float()
        if self.rotation or self.scale or self.shear or self.shift or self.warp:
            images = self._deform(images, generator)
        if self.padding:
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            images = functional.pad(images, (self.padding,) * 4, mode=mode)
        views = _crop_and_flip(images, size, flip=self.flip, generator=generator)
        return _hide(views, self.cutout, mean=mean, generator=generator) if self.cutout else views

    def _deform(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Affine map and displacement field, drawn anew for each image; what enters from outside is 0."""
        maps = self._affine_maps(len(images), generator)
        grid = functional.affine_grid(maps.to(images.device), list(images.shape), align_corners=False)
        if self.warp:
            grid = grid + self._displacements(images, generator)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def _affine_maps(self, count: int, generator: torch.Generator) -> Tensor:
        """(N, 2, 3) from output to input coordinates, in units of half a side: rotation · shear · zoom | shift."""

        def uniform(amount: float) -> Tensor:
            return (torch.rand(count, generator=generator) * 2 - 1) * amount

        angle, shear = uniform(math.radians(self.rotation)), uniform(math.radians(self.shear))
        zoom_x, zoom_y = 1 + uniform(self.scale), 1 + uniform(self.scale)
        shift_x, shift_y = uniform(2 * self.shift), uniform(2 * self.shift)
        cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
        x = torch.stack([cos * zoom_x, (cos * tan - sin) * zoom_y, shift_x], dim=1)
        y = torch.stack([sin * zoom_x, (sin * tan + cos) * zoom_y, shift_y], dim=1)
        return torch.stack([x, y], dim=1)

    def _displacements(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, R, R, 2) smooth random displacements, in units of half a side."""
        count, _, height, width = images.shape
        cells = (count, 2, self.warp_cells, self.warp_cells)
        coarse = torch.randn(cells, generator=generator) * (2 * self.warp / width)
        field = functional.interpolate(
            coarse.to(images.device), size=(height, width), mode="bicubic", align_corners=True
        )
        return field.permute(0, 2, 3, 1)


def _crop_and_flip(images: Tensor, size: int, *, flip: bool, generator: torch.Generator) -> Tensor:
    """(N, 3, P, P) to (N, 3, S, S): one offset and one coin an image, pixels moved only."""
    count, _, side, _ = images.shape
    if side == size and not flip:
        return images
    offsets = torch.randint(0, side - size + 1, (2, count, 1), generator=generator)
    span = torch.arange(size)
    rows, columns = offsets[0] + span, offsets[1] + span
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = rows.to(images.device), columns.to(images.device)
    picked = torch.arange(count, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _hide(views: Tensor, side: int, *, mean: Sequence[float], generator: torch.Generator) -> Tensor:
    """(N, 3, S, S) with a square of `side` pixels of the colour `mean` in each, as far as it lies inside."""
    count, _, size, _ = views.shape
    # along each axis: centre c in 0 … S - 1, the square covers c - side // 2 … c - side // 2 + side - 1
    first = torch.randint(0, size, (2, count, 1), generator=generator) - side // 2
    pixels = torch.arange(size)
    rows, columns = (first <= pixels) & (pixels < first + side)
    hidden = (rows[:, None, :, None] & columns[:, None, None, :]).to(views.device)
    colour = 255 * torch.tensor(mean, dtype=torch.float32, device=views.device).view(1, 3, 1, 1)
    return torch.where(hidden, colour, views)
