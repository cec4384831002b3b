"""The grammar that all shallow baselines share, and what each is worth beside the others."""

import numpy as np
import pytest

from dqh.codes import hamming
from dqh.quantizers.baselines import BASELINES

SUPERVISED = ["itq_cca", "ksh"]


def clusters(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (count, 24) of 6 classes: the classes differ in 6 dimensions, and the other 18 hold wider noise."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 6, count)
    vectors = generator.standard_normal((count, 24))
    vectors[:, 6:] *= 3
    vectors[:, :6] += 6 * np.eye(6)[labels]
    return vectors.astype(np.float32), labels


def nearest_first(name: str, bits: int) -> float:
    """Share of the 20 nearest codes of the database that have the class of the query; ties by id."""
    (train, train_labels), (query, query_labels) = clusters(400, seed=0), clusters(50, seed=1)
    baseline = BASELINES[name](bits).fit(train, train_labels)
    order = hamming(baseline.encode(query), baseline.encode(train)).argsort(axis=1, kind="stable")[:, :20]
    return float((train_labels[order] == query_labels[:, None]).mean())


def test_the_baselines_by_name() -> None:
    assert list(BASELINES) == ["lsh", "lsh_gaussian", "sh", "itq", "itq_cca", "ksh"]
    assert [BASELINES[name](8).orthogonal for name in ("lsh", "lsh_gaussian")] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_labels_find_what_variance_hides(name: str) -> None:
    """The largest variance is noise: one class of 6 is 1/6 by chance, and only labels tell where to look."""
    found = nearest_first(name, 16)
    assert found > 0.9 if name in SUPERVISED else found < 0.5


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_fit_and_encode(name: str, dtype: type) -> None:
    """Codes of the length asked for, the same again for the same seed, in batches as at once, the input untouched."""
    vectors, labels = clusters(80, seed=2)
    vectors = vectors.astype(dtype)
    vectors.flags.writeable = labels.flags.writeable = False
    baseline = BASELINES[name](11, seed=3)
    assert baseline.fit(vectors, labels) is baseline
    codes = baseline.encode(vectors)
    assert (codes.shape, codes.dtype, baseline.bits) == ((80, 2), np.uint8, 11)
    assert codes[:, 1].max() < 2**3
    assert len(np.unique(codes, axis=0)) > 3
    assert np.array_equal(BASELINES[name](11, seed=3).fit(vectors, labels).encode(vectors), codes)
    assert np.array_equal(np.concatenate([baseline.encode(vectors[:33]), baseline.encode(vectors[33:])]), codes)


@pytest.mark.parametrize("name", ["lsh", "lsh_gaussian", "itq", "itq_cca", "ksh"])
def test_the_seed_matters(name: str) -> None:
    vectors, labels = clusters(80, seed=2)
    one, other = (BASELINES[name](11, seed=seed).fit(vectors, labels).encode(vectors) for seed in (0, 1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", BASELINES)
def test_the_unit_of_the_vectors_does_not_matter(name: str) -> None:
    """× 2⁸ is exact in floats, so that only the order of rounding could differ."""
    vectors, labels = clusters(80, seed=2)
    codes = BASELINES[name](11).fit(vectors, labels).encode(vectors)
    assert np.array_equal(BASELINES[name](11).fit(256 * vectors, labels).encode(256 * vectors), codes)


@pytest.mark.parametrize("name", BASELINES)
def test_one_hot_rows_are_single_labels(name: str) -> None:
    vectors, labels = clusters(80, seed=2)
    codes = BASELINES[name](11).fit(vectors, labels).encode(vectors)
    assert np.array_equal(BASELINES[name](11).fit(vectors, np.eye(6, dtype=bool)[labels]).encode(vectors), codes)


@pytest.mark.parametrize("name", SUPERVISED)
def test_multiple_labels_are_learned(name: str) -> None:
    """Two labels that are the signs of two coordinates: vectors that share none have the farthest codes."""
    vectors = np.random.default_rng(4).standard_normal((300, 8))
    labels = np.concatenate([vectors[:, :2] > 0, vectors[:, :2] <= 0], axis=1)
    baseline = BASELINES[name](8).fit(vectors, labels)
    codes = baseline.encode(vectors)
    distances, shared = hamming(codes, codes), labels.astype(int) @ labels.T
    means = [distances[shared == count].mean() for count in (0, 1, 2)]
    assert means[0] > means[1] > means[2]


@pytest.mark.parametrize("name", SUPERVISED)
def test_supervision_needs_labels(name: str) -> None:
    vectors, labels = clusters(20, seed=2)
    with pytest.raises(ValueError, match=r"labels are needed .* call fit\(vectors, labels\)"):
        BASELINES[name](4).fit(vectors)
    with pytest.raises(ValueError, match="got 19 rows for 20 vectors"):
        BASELINES[name](4).fit(vectors, labels[1:])


@pytest.mark.parametrize("name", BASELINES)
def test_nothing_to_fit_on(name: str) -> None:
    with pytest.raises(ValueError, match="fit needs at least"):
        BASELINES[name](4).fit(np.zeros((0, 5)), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="must be finite"):
        BASELINES[name](4).fit(np.full((9, 5), np.nan), np.zeros(9, np.int64))
