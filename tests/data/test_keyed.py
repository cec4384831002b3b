import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.data.keyed import KeyedDraws

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
