import numpy as np
import pytest

from dqh.codes import hamming
from dqh.evaluation.baselines import BASELINES, NAMES, SUPERVISED, division, fit_baselines
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, Threshold, VectorQuantizer
from dqh.ranking.side import Side

PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).random((4, 4, 2)))


def train(count: int = 120) -> Side:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, count)
    features = (generator.standard_normal((count, 16)) + labels[:, None]).astype(np.float32)
    embedding = generator.random((count, 8), dtype=np.float32)
    return Side(np.zeros((count, 1), np.uint8), embedding, features, labels)


def test_all_baselines_at_equal_bits() -> None:
    found = fit_baselines(NAMES, train(), quantizer=Threshold(6))
    assert [each.name for each in found.fitted] == [*BASELINES, "vq", "pq", "opq"]
    assert found.missing == {}
    assert {each.quantizer.bits for each in found.fitted} == {6}
    for each in found.fitted:
        side = each.encoded(train())
        assert side.codes.shape == (120, 1)
        assert np.array_equal(side.codes, each.quantizer.encode(side.features))
        assert np.array_equal(side.embedding, side.features)
    assert [type(each.quantizer) for each in found.fitted[-3:]] == [
        VectorQuantizer,
        ProductQuantizer,
        OptimizedProductQuantizer,
    ]


def test_product_codes_are_also_compared_after_the_fact_on_their_embedding() -> None:
    found = fit_baselines(("itq", "pq", "opq"), train(), quantizer=PRODUCT)
    assert [each.name for each in found.fitted] == ["itq", "pq", "opq", "pq_embedding", "opq_embedding"]
    for each in found.fitted[1:]:
        assert (each.quantizer.subspaces, each.quantizer.codewords) == (4, 4)
    by_product = ProductQuantizer.from_codebooks(PRODUCT.codebooks, distance="ip")
    compared = fit_baselines(("pq", "opq"), train(), quantizer=by_product).fitted
    assert [each.quantizer.distance for each in compared] == ["l2", "l2", "ip", "ip"]
    side = found.fitted[-2].encoded(train())
    assert found.fitted[-2].by == "embedding"
    assert np.array_equal(side.codes, found.fitted[-2].quantizer.encode(train().embedding))
    assert [each.name for each in fit_baselines(("opq",), train(), quantizer=PRODUCT).fitted] == [
        "opq",
        "opq_embedding",
    ]


def test_the_same_seed_gives_the_same_codes() -> None:
    one, same = (fit_baselines(NAMES, train(), quantizer=Threshold(6), seed=3).fitted for _ in range(2))
    for each, other in zip(one, same, strict=True):
        assert np.array_equal(each.encoded(train()).codes, other.encoded(train()).codes)


@pytest.mark.parametrize(
    ("name", "bits", "message"),
    [
        ("itq", 32, "it could not be fitted: bits must be at most F"),
        ("vq", 8, "it could not be fitted: codewords must be at most the number of training vectors, got 256"),
        ("vq", 32, "it could not be fitted: vq has 2^bits codewords, at most 65,536: 16 bits, got 32"),
        ("pq", 31, "it could not be fitted: no product quantizer of 31 bits fits vectors of 16 dimensions"),
    ],
)
def test_what_cannot_be_fitted_says_why(name: str, bits: int, message: str) -> None:
    found = fit_baselines((name, "lsh"), train(), quantizer=Threshold(bits))
    assert [each.name for each in found.fitted] == ["lsh"]
    assert list(found.missing) == [name]
    assert found.missing[name].startswith(message)


def test_division_by_hand() -> None:
    """Of 48 bits 6 indices of 8 bits would be wished, but 6 does not divide 1280; 8 of 6 bits is the nearest that does.

    12 bits: widths 1, 2, 3, 4, 6, 12, hence M = 12, 6, 4, 3, 2, 1; of 64 dimensions 4, 2 and 1 are divisors: widths 3,
    6 and 12, of which 6 is the nearest to 8, and 3 where 64 codewords are more than the vectors.
    """
    assert division(48, 1280, vectors=5000) == (8, 64)
    assert division(32, 1280, vectors=5000) == (4, 256)
    assert division(12, 64, vectors=1000) == (2, 64)
    assert division(12, 64, vectors=63) == (4, 8)
    assert division(32, 1280, vectors=5000, codewords=16) == (8, 16)
    with pytest.raises(ValueError, match="no product quantizer of 17 bits fits vectors of 64 dimensions and 9 of them"):
        division(17, 64, vectors=9)


def test_one_vector_far_from_all_others_has_no_part_in_a_fit(caplog: pytest.LogCaptureFixture) -> None:
    """The codes of all others are those of a fit without it; else most bits of lsh, sh and itq would be constant."""
    names, side = ("lsh", "sh", "itq", "pq"), train()
    more = Side(*(np.concatenate([part, part[:1]]) for part in side))
    more.features[-1] = 65504
    plain = fit_baselines(names, side, quantizer=Threshold(6))
    assert caplog.text == ""
    found = fit_baselines(names, more, quantizer=Threshold(6))
    assert caplog.messages == ["baselines: fitted without 1 of 121 rows whose features lie far from all others"]
    for one, other in zip(found.fitted, plain.fitted, strict=True):
        assert np.array_equal(one.encoded(side).codes, other.encoded(side).codes)


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
    assert list(BASELINES) == ["lsh", "lsh_gaussian", "sh", "pca_rr", "itq", "itq_cca", "ksh", "bre", "mlh"]
    assert [BASELINES[name](8).orthogonal for name in ("lsh", "lsh_gaussian")] == [True, False]
    assert [BASELINES[name](8).iterations for name in ("pca_rr", "itq")] == [0, 50]


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
