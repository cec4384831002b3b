import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from dqh.codes import pack
from dqh.evaluation import health
from dqh.evaluation.health import LARGEST_GROUPS, LARGEST_MATRIX, Health, code_health, expected_distinct

pytestmark = pytest.mark.filterwarnings("error")

FOUR = np.array([[0, 0], [1, 0], [1, 0], [1, 1]], bool)


def health_of(bits: np.ndarray, **embedding) -> Health:
    return code_health(pack(bits), bits=bits.shape[1], **embedding)


def random_bits(items: int, bits: int, *, seed: int = 0) -> np.ndarray:
    """Bits of different balance, some of them correlated, with repeated codes."""
    generator = np.random.default_rng(seed)
    few = generator.random((max(1, items // 2), bits)) < generator.random(bits)
    few[:, bits // 2] ^= few[:, 0]
    return few[generator.integers(len(few), size=items)]


def test_four_codes_by_hand():
    """Bits of four items: 0 1 1 1 and 0 0 0 1; codes 00, 10, 10, 11.

    H(3/4) = 2 − 3/4 log2 3 for both bits. Codes have shares 1/4, 1/2, 1/4: 2 · 1/4 · 2 + 1/2 = 1.5 bits.
    Correlation: (4 · 1 − 3 · 1) / √(3 · 1 · 1 · 3) = 1/3. Uniform codes: 4 (1 − (3/4)^4) = 2.734375.
    Two of four items share a code; two items are in groups of 1, two in groups of 2.
    """
    found = health_of(FOUR)
    assert (found.items, found.bits) == (4, 2)
    assert found.balance == (0.75, 0.25)
    assert found.bit_entropy == pytest.approx([2 - 0.75 * np.log2(3)] * 2)
    assert found.bit_entropy_sum == pytest.approx(4 - 1.5 * np.log2(3))
    assert found.code_entropy == 1.5
    assert np.array(found.correlation) == pytest.approx(np.array([[1, 1 / 3], [1 / 3, 1]]))
    assert found.mean_correlation == pytest.approx(1 / 3)
    assert found.max_correlation == pytest.approx(1 / 3)
    assert found.max_pair == (0, 1)
    assert (found.dead, found.nearly_constant, found.twins) == (0, 0, 0)
    assert (found.distinct, found.colliding, found.sharing, found.largest) == (3, 0.5, (2, 2), (2, 1, 1))
    assert found.expected_distinct == pytest.approx(2.734375)
    assert found.saturation is None


def test_saturation_by_hand():
    """Ten values: 0, .01 and 1 at the ends (the parts 0–.05 and .95–1), .46 and .54 in the two middle parts .45–.55."""
    values = np.array([[0, 0.01, 1, 0.46, 0.54], [0.2, 0.3, 0.7, 0.6, 0.9]], np.float32)
    found = health_of(values > 0.5, embedding=values).saturation
    assert (found.saturated, found.undecided) == (0.3, 0.2)
    histogram = Counter({0: 2, 19: 1, 9: 1, 10: 1, 4: 1, 6: 1, 14: 1, 12: 1, 18: 1})
    assert found.histogram == tuple(histogram[part] for part in range(20))


def test_saturation_of_tanh_has_its_middle_at_zero():
    """−1 and 1 are the ends, ±.05 the middle parts −.1–0 and 0–.1, .5 is in part (.5 + 1) / .1 = 15."""
    values = np.array([[-1, 1, -0.05, 0.05, 0.5]], np.float16)
    found = health_of(values > 0, embedding=values, low=-1, high=1).saturation
    assert (found.low, found.high) == (-1, 1)
    assert (found.saturated, found.undecided) == (0.4, 0.4)
    assert np.flatnonzero(found.histogram).tolist() == [0, 9, 10, 15, 19]


def test_groups_of_codes_by_hand():
    """Groups of 5, 3, 2, 1 and 1 of 12 items: 2 alone, 2 in pairs, 3 in 3–4, 5 in 5–8."""
    number = np.repeat(np.arange(5), [3, 1, 5, 1, 2])
    found = health_of((number[:, None] >> np.arange(3) & 1).astype(bool))
    assert found.sharing == (2, 2, 3, 5)
    assert found.largest == (5, 3, 2, 1, 1)
    assert found.colliding == 10 / 12


def test_constant_bits_are_dead_and_correlate_with_nothing():
    """Of 100 items, bit 1 is set in one (1 %, nearly constant) and bit 2 in two (2 %, not so)."""
    bits = np.zeros((100, 4), bool)
    bits[0, 1] = bits[:2, 2] = True
    bits[:, 3] = True
    found = health_of(bits)
    assert (found.dead, found.nearly_constant) == (2, 1)
    assert found.bit_entropy[0] == found.bit_entropy[3] == 0
    assert not np.array(found.correlation)[[0, 3]].any()
    assert found.max_pair == (1, 2)


def test_a_copy_and_an_opposite_are_twins():
    bits = np.random.default_rng(0).random((50, 3)) < 0.5
    found = health_of(np.column_stack([bits, bits[:, 0], ~bits[:, 1]]))
    assert found.twins == 4
    assert found.max_correlation == pytest.approx(1, abs=1e-12)
    assert found.max_pair == (0, 3)
    assert found.correlation[1][4] == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize(("items", "bits"), [(300, 13), (64, 1), (1, 9), (257, 72), (40, 200)])
def test_numbers_agree_with_numpy_scipy_and_counting(items, bits):
    values = random_bits(items, bits)
    found = health_of(values)
    counts = Counter(map(bytes, values))
    assert found.balance == pytest.approx(values.mean(axis=0))
    assert found.bit_entropy == pytest.approx(entropy([values.mean(axis=0), 1 - values.mean(axis=0)], base=2))
    assert found.code_entropy == pytest.approx(entropy(list(counts.values()), base=2))
    assert found.distinct == len(counts)
    assert found.largest == tuple(sorted(counts.values(), reverse=True)[:LARGEST_GROUPS])
    assert found.colliding == pytest.approx(sum(count for count in counts.values() if count > 1) / items)
    assert sum(found.sharing) == items
    with np.errstate(all="ignore"):
        reference = np.nan_to_num(np.atleast_2d(np.corrcoef(values, rowvar=False))) if items > 1 else np.zeros((9, 9))
    assert np.array(found.correlation) == pytest.approx(reference, abs=1e-12)
    apart = np.abs(reference[np.triu_indices(bits, 1)])
    assert found.mean_correlation == pytest.approx(apart.mean() if bits > 1 else 0, abs=1e-12)
    assert abs(found.max_correlation) == pytest.approx(apart.max(initial=0), abs=1e-12)


def test_codes_that_differ_in_a_late_bit_alone_are_distinct():
    bits = np.zeros((3, 130), bool)
    bits[1, 70] = bits[2, 129] = True
    assert health_of(bits).distinct == 3


def test_what_stands_beyond_the_last_bit_is_ignored():
    codes = pack(random_bits(50, 13))
    filled = codes.copy()
    filled[::2, -1] |= 0b1110_0000
    assert code_health(filled, bits=13) == code_health(codes, bits=13)


@pytest.mark.parametrize("chunk", [1, 13 * 7, 13 * 60, 13 * 61])
def test_chunks_do_not_matter(monkeypatch, chunk):
    bits = random_bits(60, 13)
    values = np.random.default_rng(1).random((60, 13), np.float32)
    whole = health_of(bits, embedding=values)
    monkeypatch.setattr(health, "_CHUNK", chunk)
    assert health_of(bits, embedding=values) == whole


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_order_of_items_does_not_matter_and_order_of_bits_only_orders(items, bits, seed):
    values = random_bits(items, bits, seed=seed)
    generator = np.random.default_rng(seed)
    found = health_of(values)
    assert health_of(generator.permutation(values)) == found
    order = generator.permutation(bits)
    other = health_of(values[:, order])
    assert other.balance == tuple(np.array(found.balance)[order])
    assert np.array_equal(np.array(other.correlation), np.array(found.correlation)[np.ix_(order, order)])
    for name in ("dead", "nearly_constant", "twins", "distinct", "colliding", "sharing", "largest", "code_entropy"):
        assert getattr(other, name) == getattr(found, name)


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_flipping_a_bit_mirrors_it_and_doubling_the_items_only_adds_company(items, bits, seed):
    values = random_bits(items, bits, seed=seed)
    found, flip = health_of(values), np.arange(bits) == 0
    other, twice = health_of(values ^ flip), health_of(np.repeat(values, 2, axis=0))
    assert other.bit_entropy == pytest.approx(found.bit_entropy)
    sign = np.where(flip, -1, 1)
    assert np.array(other.correlation) == pytest.approx(np.array(found.correlation) * sign * sign[:, None])
    assert (other.distinct, other.largest) == (found.distinct, found.largest)
    assert twice.balance == found.balance
    assert twice.code_entropy == found.code_entropy
    assert twice.colliding == 1
    assert twice.sharing == (0, *(2 * items for items in found.sharing))


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_entropy_of_codes_stays_below_its_bounds(items, bits, seed):
    found = health_of(random_bits(items, bits, seed=seed))
    assert -1e-9 <= found.code_entropy <= min(found.bit_entropy_sum, np.log2(items), bits) + 1e-9


@pytest.mark.parametrize(("items", "bits"), [(1, 1), (3, 1), (4, 2), (2, 3)])
def test_expected_distinct_codes_agree_with_every_draw(items, bits):
    draws = [len(set(draw)) for draw in itertools.product(range(2**bits), repeat=items)]
    assert expected_distinct(items, bits) == pytest.approx(np.mean(draws))


@pytest.mark.parametrize("bits", [64, 128, 4096])
def test_many_bits_are_expected_to_be_distinct(bits):
    assert expected_distinct(1_000_000, bits) == pytest.approx(1_000_000, rel=1e-7)


def test_above_a_number_of_bits_the_matrix_is_not_kept():
    found = health_of(random_bits(30, LARGEST_MATRIX + 1))
    assert found.correlation is None
    assert found.max_pair is not None
    assert found.mean_correlation > 0
    assert health_of(random_bits(30, LARGEST_MATRIX)).correlation is not None


def test_a_single_bit_has_no_pair():
    found = health_of(FOUR[:, :1])
    assert (found.max_pair, found.max_correlation, found.mean_correlation, found.twins) == (None, 0, 0, 0)


@pytest.mark.parametrize("embedded", [False, True])
def test_json_is_plain_and_comes_back_as_rounded(embedded):
    bits = random_bits(30, 11)
    found = health_of(bits, embedding=bits.astype(np.float32) if embedded else None)
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    back = Health.from_json(values)
    assert back.to_json() == values == found.to_json()
    assert back.saturation == found.saturation
    assert back.balance == pytest.approx(found.balance, abs=5e-7)
    assert np.array(back.correlation) == pytest.approx(np.array(found.correlation), abs=5e-4)
    assert (back.max_pair, back.sharing, back.largest) == (found.max_pair, found.sharing, found.largest)


def test_json_without_an_attribute_is_refused():
    values = health_of(FOUR).to_json()
    del values["balance"]
    with pytest.raises(KeyError, match="balance"):
        Health.from_json(values)


def test_inputs_stay_as_they_are():
    codes, values = pack(FOUR), FOUR.astype(np.float64)
    before = codes.copy(), values.copy()
    code_health(codes, bits=2, embedding=values)
    assert np.array_equal(codes, before[0])
    assert np.array_equal(values, before[1])


NAN = np.array([[0.5, np.nan]] * 4, np.float32)


@pytest.mark.parametrize(
    ("codes", "given", "message"),
    [
        (pack(FOUR), {"bits": 9}, r"codes of 9 bits must be uint8 of shape \(N, 2\)"),
        (FOUR, {"bits": 2}, "must be uint8"),
        (pack(FOUR)[:0], {"bits": 2}, "at least one item"),
        (pack(FOUR), {"bits": 2, "embedding": NAN[:3]}, r"must have shape \(4, 2\) as the codes do, got \(3, 2\)"),
        (pack(FOUR), {"bits": 2, "embedding": NAN}, r"must lie in 0\.0 … 1\.0"),
        (pack(FOUR), {"bits": 2, "embedding": FOUR * 1.5}, r"got 0\.0 … 1\.5; give its range as low and high"),
        (pack(FOUR), {"bits": 2, "embedding": FOUR - 1.0}, r"must lie in 0\.0 … 1\.0"),
        (pack(FOUR), {"bits": 2, "embedding": FOUR * 1.0, "low": 1}, "low must be below high"),
    ],
)
def test_errors_say_what_was_wanted(codes, given, message):
    with pytest.raises(ValueError, match=message):
        code_health(codes, **given)
