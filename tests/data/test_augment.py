import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.data.augment import Augment, KeyedDraws
from dqh.errors import ConfigError

EVERYTHING = Augment(padding=1, flip=True, rotation=10, scale=0.1, shear=5, shift=0.05, warp=1.0, cutout=3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(count=6, seed=0):
    return KeyedDraws(seed, torch.arange(count))


def images(count=6, side=8, seed=1):
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator(seed))


def test_without_parameters_nothing_changes():
    batch = images()
    views = Augment()(batch, 8, draws=draws())
    assert views.dtype == torch.float32
    assert torch.equal(views, batch.float())


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("padding", "size"), [(0, 5), (2, 8), (2, 12), (0, 8)])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_a_view_is_a_crop_of_the_padded_image_or_its_mirror(padding, size, flip, mode):
    """Reference: every crop of every padded image, enumerated."""
    batch = images(16)
    views = Augment(padding=padding, padding_mode=mode, flip=flip)(batch, size, draws=draws(16))
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
def test_a_view_depends_on_the_draws_alone(augment):
    batch, state = images(), torch.get_rng_state()
    first, again, other = (augment(batch, 8, draws=draws(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_input_is_not_modified():
    batch = images().float()
    before = batch.clone()
    EVERYTHING(batch, 8, draws=draws())
    assert torch.equal(batch, before)


def test_uint8_and_float_give_the_same_views():
    batch = images()
    views = [EVERYTHING(kind, 7, draws=draws()) for kind in (batch, batch.float())]
    assert torch.equal(*views)


def test_values_stay_in_range():
    """Bilinear sampling of values in 0 … 255 and of the zeros around them; 1e-3 for its float32 sums."""
    views = EVERYTHING(images(64, 28), 28, draws=draws(64))
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
    views = augment(images(1, 16).expand(count, -1, -1, -1), 16, draws=draws(count))
    assert len({view.numpy().tobytes() for view in views}) == count


def test_the_centre_is_fixed_without_a_shift():
    """The map is about the centre: the middle pixel of an odd side samples itself, up to float32 rounding."""
    batch = images(8, 9)
    views = Augment(rotation=90, scale=0.5, shear=30)(batch, 9, draws=draws(8))
    torch.testing.assert_close(views[:, :, 4, 4], batch[:, :, 4, 4].float(), atol=1e-2, rtol=0)


def test_a_shift_is_at_most_its_fraction():
    """A dot in the middle of 21 pixels, shift 0.1 of the side: it stays within 2.1 pixels, bilinear one more."""
    batch = torch.zeros(64, 3, 21, 21)
    batch[:, :, 10, 10] = 255
    lit = (Augment(shift=0.1)(batch, 21, draws=draws(64)) > 0).nonzero()[:, 2:] - 10
    assert 2 <= lit.abs().max() <= 3


def test_a_warp_moves_by_its_strength():
    """The root mean square of the displacement, in pixels: the coarse grid's is 2; bicubic interpolation lowers it."""
    augment = Augment(warp=2.0)
    field = augment._displacements((28, 28), draws(200)) * 28 / 2
    assert 1.0 < field.square().mean().sqrt() < 2.2


def test_cutout_hides_a_square_about_a_pixel(monkeypatch):
    """Views of 5 pixels, a square of 3, that of the mean (.2, .4, .6), raw 51, 102, 153.

    Centre (2, 1): 2 - 3 // 2 = 1, so rows 1 … 3; 1 - 1 = 0, so columns 0 … 2: nine pixels. Centre (0, 4): rows -1 … 1
    and columns 3 … 5, cut by the border to rows 0, 1 and columns 3, 4: four pixels.
    """
    centres = torch.tensor([[2, 1], [0, 4]])  # (image, row | column)
    monkeypatch.setattr(KeyedDraws, "integers", lambda *_: centres)
    views = Augment(cutout=3)(torch.full((2, 3, 5, 5), 200.0), 5, draws=draws(2), mean=(0.2, 0.4, 0.6))
    expected = torch.full((2, 3, 5, 5), 200.0)
    for channel, value in enumerate((51.0, 102.0, 153.0)):
        expected[0, channel, 1:4, 0:3] = value
        expected[1, channel, 0:2, 3:5] = value
    torch.testing.assert_close(views, expected, atol=1e-4, rtol=0)  # 255 times .2 in float32


@given(st.integers(1, 12), st.integers(1, 7), st.booleans(), st.integers(0, 2**31))
def test_cutout_hides_one_rectangle_and_leaves_the_rest_of_the_view(side, size, flip, seed):
    """Along each axis: at least ⌈side / 2⌉ pixels or all, at most `side`, and only the border cuts."""
    batch = images(5, 9)
    plain, hidden = (
        Augment(flip=flip, cutout=cutout)(batch, size, draws=draws(5, seed), mean=(-1.0,) * 3) for cutout in (0, side)
    )
    covered = hidden == -255
    assert torch.equal(covered, covered[:, :1].expand_as(covered))
    assert torch.equal(hidden[~covered], plain[~covered])
    for mask in covered[:, 0]:
        rows, columns = mask.any(dim=1), mask.any(dim=0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        for axis in (rows, columns):
            where = axis.nonzero().ravel()
            length = int(where[-1] - where[0]) + 1
            assert length == len(where)
            assert min(size, -(-side // 2)) <= length <= side
            assert length == side or where[0] == 0 or where[-1] == size - 1


def test_the_centre_of_a_cutout_is_any_pixel_with_equal_probability():
    """A square of one pixel in 4 × 4, 16,000 draws: 1,000 a pixel, sd √(16,000 · 15 / 256) = 31; 5 sd either way."""
    views = Augment(cutout=1)(torch.full((16_000, 3, 4, 4), 9.0), 4, draws=draws(16_000))
    hits = (views[:, 0] == 0).sum(dim=0)
    assert hits.sum() == 16_000
    assert (hits - 1000).abs().max() < 5 * 31


@pytest.mark.parametrize("size", [0, 13])
def test_a_size_that_no_crop_has_is_refused(size):
    with pytest.raises(ValueError, match="size must be in 1 … 12"):
        Augment(padding=2)(images(), size, draws=draws())


def test_draws_of_another_batch_are_refused():
    with pytest.raises(ValueError, match="draws must be for the 6 images, got draws for 5"):
        Augment(flip=True)(images(), 8, draws=draws(5))


def test_an_image_cannot_be_mirrored_beyond_itself():
    with pytest.raises(ValueError, match="padding by reflection must be below the images' 8, got 8"):
        Augment(padding=8, padding_mode="reflect")(images(), 8, draws=draws())


def test_zeros_may_be_wider_than_the_image():
    """A crop of 3 pixels from 2 + 2 · 4: most see nothing, and what they see is whole rows and columns of it."""
    views = Augment(padding=4)(torch.full((64, 3, 2, 2), 9.0), 3, draws=draws(64))
    assert {int(count) for count in (views[:, 0] != 0).sum(dim=(1, 2))} <= {0, 1, 2, 4}
    assert 0 < (views != 0).float().mean() < 0.3


@pytest.mark.parametrize("augment", [EVERYTHING, Augment(padding=2, padding_mode="reflect", flip=True, cutout=3)])
def test_a_view_of_an_image_is_the_same_in_another_batch(augment):
    """In a part of the batch, as another process has it; 1e-4: sums of bilinear weights may round differently."""
    batch, keys = images(), torch.tensor([7, 1, 100, 3, 8, 2**40])
    whole, part = (augment(batch[at], 8, draws=KeyedDraws(1, keys[at])) for at in (slice(None), slice(2, 5)))
    torch.testing.assert_close(whole[2:5], part, atol=1e-4, rtol=0)


def test_views_are_in_channels_last_order():
    for augment in (Augment(), EVERYTHING, Augment(flip=True)):
        views = augment(images(), 8, draws=draws())
        assert views.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"padding_mode": "wrap"}, "padding_mode must be zeros or reflect, got 'wrap'"),
        ({"padding": -1, "rotation": -2.0}, "padding must be at least 0, got -1\nrotation must be at least 0"),
        ({"scale": 1.0}, "scale must be below 1, got 1.0"),
        ({"warp_cells": 0}, "warp_cells must be at least 1, got 0"),
        ({"cutout": -4}, "cutout must be at least 0, got -4"),
        ({"shear": float("nan")}, "shear must be at least 0, got nan"),
    ],
)
def test_impossible_amounts_are_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        Augment(**options)


@pytest.mark.parametrize(
    ("options", "resize", "words"),
    [
        ({}, 32, ""),
        ({}, 36, "a random 32 of 36 pixels"),
        (
            {"flip": True, "padding": 2, "padding_mode": "reflect"},
            32,
            "shifted by up to 2 pixels (reflect), mirrored left to right",
        ),
        (
            {"rotation": 10, "shear": 2.5, "scale": 0.1, "shift": 0.06, "warp": 0.7, "cutout": 8},
            32,
            "rotated by up to 10°, sheared by up to 2.5°, scaled by up to 10%, moved by up to 6% of the side, "
            "warped by about 0.7 pixels, a square of 8 pixels hidden",
        ),
    ],
)
def test_words_name_what_is_set_alone(options, resize, words):
    assert Augment(**options).words(32, resize) == words


MASK = 2**64 - 1


def splitmix(value: int) -> int:
    """SplitMix64's finaliser in whole numbers of Python."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def test_the_finaliser_is_splitmix64s():
    """The first outputs of SplitMix64 from state 0, as its authors' code prints them."""
    golden = 0x9E3779B97F4A7C15
    assert [splitmix(step * golden & MASK) for step in (1, 2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_numbers_against_whole_numbers_of_python(seed, keys):
    golden = 0x9E3779B97F4A7C15
    start = splitmix((seed + 1) * golden & MASK)
    states = [splitmix((key * golden + start) & MASK) for key in keys]
    numbers = [[splitmix((state + place * golden) & MASK) for place in (1, 2, 3)] for state in states]
    draws = KeyedDraws(seed, torch.tensor(keys))
    assert draws.uniform(2).tolist() == [[(n >> 40) / 2**24 for n in row[:2]] for row in numbers]
    assert draws.integers(10, 1).tolist() == [[(row[2] >> 32) * 10 >> 32] for row in numbers]


def test_numbers_belong_to_their_keys():
    keys = torch.tensor([5, 9, 5, 0])
    whole, part = KeyedDraws(1, keys).uniform(3), KeyedDraws(1, keys[1:3]).uniform(3)
    assert torch.equal(whole[1:3], part)
    assert torch.equal(whole[0], whole[2])
    assert not torch.equal(whole, KeyedDraws(2, keys).uniform(3))


@pytest.mark.parametrize("keys", [torch.arange(50_000), torch.arange(0, 50_000 * 64, 64)])
def test_neighbouring_keys_draw_independent_even_numbers(keys):
    """50,000 rows: standard errors of a mean .5 are .0013, of correlations .0045, of a share of one in ten .0013."""
    draws = KeyedDraws(3, keys)
    values = draws.uniform(4).numpy()
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(values.mean(0) - 0.5).max() < 0.0065
    correlations = np.corrcoef(np.concatenate([values[:-1], values[1:]], axis=1).T) - np.eye(8)
    assert np.abs(correlations).max() < 0.0225
    shares = np.bincount(draws.integers(10, 1).numpy().ravel()) / len(keys)
    assert len(shares) == 10
    assert np.abs(shares - 0.1).max() < 0.0065


def test_normal_numbers():
    """200,000 numbers: standard errors .0022 of the mean, .0032 of the variance; 4.55 % lie beyond two deviations."""
    values = KeyedDraws(4, torch.arange(50_000)).normal(4)
    assert abs(float(values.mean())) < 0.011
    assert abs(float(values.var()) - 1) < 0.016
    assert abs(float((values.abs() > 2).float().mean()) - 0.0455) < 0.0025
    assert torch.isfinite(values).all()


def test_no_global_random_state_is_touched():
    before = torch.get_rng_state()
    KeyedDraws(0, torch.arange(4)).normal(2)
    assert torch.equal(torch.get_rng_state(), before)
