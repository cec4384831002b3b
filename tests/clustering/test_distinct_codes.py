"""Codes merged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.clustering.distinct_codes import distinct_codes


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from([1, 3, 8, 9, 16, 20]))
def test_each_code_once(seed: int, count: int, size: int) -> None:
    """Against a dictionary."""
    generator = np.random.default_rng(seed)
    codes = (
        generator.integers(0, 2, (count, size), dtype=np.uint8) * generator.integers(0, 2, size, dtype=np.uint8) * 255
    )
    merged = distinct_codes(codes)
    times: dict[bytes, int] = {}
    for code in codes:
        times[code.tobytes()] = times.get(code.tobytes(), 0) + 1
    assert {code.tobytes(): int(weight) for code, weight in zip(merged.codes, merged.weights, strict=True)} == times
    assert np.array_equal(merged.codes[merged.places], codes)
    assert merged.weights.dtype == np.uint32


@pytest.mark.parametrize("size", [8, 16])
def test_the_order_does_not_depend_on_that_of_the_codes(size: int) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (50, size), dtype=np.uint8)
    assert np.array_equal(distinct_codes(codes).codes, distinct_codes(codes[::-1]).codes)
