from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.index import bit_scans
from dqh.index.bit_scans import FaissScan, bit_scan
from dqh.native import twins
from dqh.native.bitmaps import bitmap_of
from dqh.native.extension import extension
from dqh.native.hamming_codes import HammingCodes

KERNELS = extension() or twins


@given(
    st.integers(0, 2**32),
    st.integers(1, 300),
    st.integers(1, 40),
    st.integers(1, 300),
    st.integers(0, 200),
    st.sampled_from([None, 0.0, 0.1, 0.7]),
)
def test_both_scans_answer_alike(seed: int, count: int, size: int, k: int, radius: int, share: float | None) -> None:
    """Codes of few different bytes, so that many are equally far away; all of them, or those of a filter."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 256, (count, size), dtype=np.uint8) & generator.integers(0, 4, size, dtype=np.uint8)
    queries = codes[generator.integers(0, count, 5)] ^ generator.integers(0, 2, (5, 1), dtype=np.uint8)
    allowed = None if share is None else bitmap_of(generator.random(count) < share)
    scans = FaissScan(size), HammingCodes(size, kernels=KERNELS)
    for scan in scans:
        scan.add(codes[: count // 2])
        scan.add(codes[count // 2 :])
        assert len(scan) == count
    for one, other in zip(*(scan.nearest(queries, min(k, count), allowed=allowed) for scan in scans), strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype
    for one, other in zip(*(scan.within(queries, radius, allowed=allowed) for scan in scans), strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize(("kernels", "kind"), [(twins, HammingCodes), (None, FaissScan)])
def test_kernels_are_taken_where_they_are(
    kernels: ModuleType | None, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bit_scans, "extension", lambda: kernels)
    assert isinstance(bit_scan(3), kind)
