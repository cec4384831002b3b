import numpy as np
import pytest
import torch

from dqh.data.augment import Augment
from dqh.errors import ConfigError

EVERYTHING = Augment(padding=1, flip=True, rotation=10, scale=0.1, shear=5, shift=0.05, warp=1.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=6, side=8, seed=1):
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator(seed))


def test_without_parameters_nothing_changes():
    batch = images()
    views = Augment()(batch, 8, generator=generator())
    assert views.dtype == torch.float32
    assert torch.equal(views, batch.float())


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("padding", "size"), [(0, 5), (2, 8), (2, 12), (0, 8)])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_a_view_is_a_crop_of_the_padded_image_or_its_mirror(padding, size, flip, mode):
    """Reference: every crop of every padded image, enumerated."""
    batch = images(16)
    views = Augment(padding=padding, padding_mode=mode, flip=flip)(batch, size, generator=generator())
    around = ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2)
    padded = np.pad(batch.numpy(), around, mode="constant" if mode == "zeros" else mode)
    offsets = range(padded.shape[-1] - size + 1)
    seen = set()
    for view, image in zip(views.numpy(), padded, strict=True):
        found = [
            (top, left, mirrored)
            for top in offsets
            for left in offsets
            for mirrored in (False, True)
            if np.array_equal(view[:, :, ::-1] if mirrored else view, image[:, top : top + size, left : left + size])
        ]
        assert len(found) == 1
        seen.update(found)
    assert {mirrored for _, _, mirrored in seen} == ({False, True} if flip else {False})
    assert len({(top, left) for top, left, _ in seen}) > 1 or len(offsets) == 1


@pytest.mark.parametrize("augment", [EVERYTHING, Augment(padding=2, flip=True), Augment(warp=2.0)])
def test_a_view_depends_on_the_generator_alone(augment):
    batch, state = images(), torch.get_rng_state()
    first, again, other = (augment(batch, 8, generator=generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_input_is_not_modified():
    batch = images().float()
    before = batch.clone()
    EVERYTHING(batch, 8, generator=generator())
    assert torch.equal(batch, before)


def test_uint8_and_float_give_the_same_views():
    batch = images()
    views = [EVERYTHING(kind, 7, generator=generator()) for kind in (batch, batch.float())]
    assert torch.equal(*views)


def test_values_stay_in_range():
    """Bilinear sampling of values in 0 … 255 and of the zeros around them; 1e-3 for its float32 sums."""
    views = EVERYTHING(images(64, 28), 28, generator=generator())
    assert views.min() >= -1e-3
    assert views.max() <= 255 + 1e-3


@pytest.mark.parametrize(
    ("augment", "count"),
    [
        (Augment(rotation=20), 8),
        (Augment(scale=0.2), 8),
        (Augment(shear=20), 8),
        (Augment(shift=0.2), 8),
        (Augment(warp=2.0), 8),
    ],
)
def test_each_image_gets_a_map_of_its_own(augment, count):
    views = augment(images(1, 16).expand(count, -1, -1, -1), 16, generator=generator())
    assert len({view.numpy().tobytes() for view in views}) == count


def test_the_centre_is_fixed_without_a_shift():
    """The map is about the centre: the middle pixel of an odd side samples itself, up to float32 rounding."""
    batch = images(8, 9)
    views = Augment(rotation=90, scale=0.5, shear=30)(batch, 9, generator=generator())
    torch.testing.assert_close(views[:, :, 4, 4], batch[:, :, 4, 4].float(), atol=1e-2, rtol=0)


def test_a_shift_is_at_most_its_fraction():
    """A dot in the middle of 21 pixels, shift 0.1 of the side: it stays within 2.1 pixels, bilinear one more."""
    batch = torch.zeros(64, 3, 21, 21)
    batch[:, :, 10, 10] = 255
    lit = (Augment(shift=0.1)(batch, 21, generator=generator()) > 0).nonzero()[:, 2:] - 10
    assert 2 <= lit.abs().max() <= 3


def test_a_warp_moves_by_its_strength():
    """The root mean square of the displacement, in pixels: the coarse grid's is 2; bicubic interpolation lowers it."""
    augment = Augment(warp=2.0)
    field = augment._displacements(torch.zeros(200, 3, 28, 28), generator()) * 28 / 2
    assert 1.0 < field.square().mean().sqrt() < 2.2


@pytest.mark.parametrize("size", [0, 13])
def test_a_size_that_no_crop_has_is_refused(size):
    with pytest.raises(ValueError, match="size must be in 1 … 12"):
        Augment(padding=2)(images(), size, generator=generator())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"padding_mode": "wrap"}, "padding_mode must be zeros or reflect, got 'wrap'"),
        ({"padding": -1, "rotation": -2.0}, "padding must be at least 0, got -1\nrotation must be at least 0"),
        ({"scale": 1.0}, "scale must be below 1, got 1.0"),
        ({"warp_cells": 0}, "warp_cells must be at least 1, got 0"),
        ({"shear": float("nan")}, "shear must be at least 0, got nan"),
    ],
)
def test_impossible_amounts_are_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        Augment(**options)
