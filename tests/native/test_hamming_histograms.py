from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.codes import hamming
from dqh.native import hamming_histograms as module
from dqh.native import threads
from dqh.native.hamming_histograms import hamming_histograms


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(0, 300),
    st.integers(0, 9),
    st.integers(1, 40),
    st.sampled_from([None, 1, 30, 64, 65, 200]),
)
def test_counts_equal_those_of_all_pairs(
    kernels: ModuleType, seed: int, count: int, queries: int, size: int, classes: int | None
) -> None:
    """Single labels, negative and large ones too, and several of C classes, with items that have none."""
    generator = np.random.default_rng(seed)
    codes, asked = (generator.integers(0, 256, (rows, size), dtype=np.uint8) for rows in (count, queries))
    if classes is None:
        numbers = np.array([-(2**63), -1, 0, 7, 2**63 - 1])
        labels, wanted_labels = (numbers[generator.integers(0, 5, rows)] for rows in (count, queries))
        relevant = wanted_labels[:, None] == labels[None]
    else:
        labels, wanted_labels = (generator.random((rows, classes)) < 0.2 for rows in (count, queries))
        relevant = (wanted_labels[:, None] & labels[None]).any(axis=2)
    counted = hamming_histograms(
        asked, codes, query_labels=wanted_labels, database_labels=labels, bits=8 * size, kernels=kernels
    )
    assert counted.shape == (2, queries, 8 * size + 1)
    for q, distances in enumerate(hamming(asked, codes)):
        for side, chosen in zip(counted[:, q], (~relevant[q], relevant[q]), strict=True):
            assert side.tolist() == np.bincount(distances[chosen], minlength=8 * size + 1).tolist()


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_threads_gives_the_same(kernels: ModuleType, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And any share of the memory for it: 10 queries, 2,000 items, 12 bits, all within the first 13 columns."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 16, (2000, 2), dtype=np.uint8)
    labels = generator.integers(0, 3, 2000)
    arguments = {"query_labels": labels[:10], "database_labels": labels, "bits": 12, "kernels": kernels}
    wanted = hamming_histograms(codes[:10], codes, **arguments)
    for name in (module, threads):
        monkeypatch.setattr(name, "threads", lambda: count)
    monkeypatch.setattr(module, "_SCRATCH", 5000)
    assert np.array_equal(hamming_histograms(codes[:10], codes, **arguments), wanted)
    assert wanted.sum() == 20_000


@pytest.mark.parametrize("size", [1, 9])
def test_equal_rows_and_many_of_them(kernels: ModuleType, size: int) -> None:
    """150,000 equal codes, which no count of 16 bits holds, and a last block that is not full."""
    codes, labels = np.zeros((150_003, size), np.uint8), np.zeros(150_003, np.int64)
    labels[7] = 1
    counted = hamming_histograms(
        codes[:2] ^ 3, codes, query_labels=labels[:2], database_labels=labels, bits=8 * size, kernels=kernels
    )
    assert counted[:, :, 2 * size].tolist() == [[1, 1], [150_002, 150_002]]
    assert counted.sum() == 300_006
