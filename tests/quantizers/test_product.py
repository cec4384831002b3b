"""The product quantizer."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqh.errors import NotFittedError
from dqh.quantizers import QUANTIZERS, ProductQuantizer
from dqh.quantizers import codebooks as module
from dqh.quantizers import product as product_module

WIDTHS = [3, 4, 6, 8, 12]


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rotation(dimension: int) -> np.ndarray:
    return np.linalg.qr(draw(dimension, dimension, seed=9))[0]


def by_hand() -> ProductQuantizer:
    """Two subspaces of one dimension, codewords 0 1 4 6 and -2 0 2 9."""
    return ProductQuantizer.from_codebooks(np.array([[[0], [1], [4], [6]], [[-2], [0], [2], [9]]], np.float32))


def to_faiss(quantizer: ProductQuantizer, metric: int = faiss.METRIC_L2) -> faiss.IndexPQ:
    index = faiss.IndexPQ(quantizer.dimension, quantizer.subspaces, quantizer.codewords.bit_length() - 1, metric)
    faiss.copy_array_to_vector(quantizer.codebooks.ravel(), index.pq.centroids)
    index.is_trained = True
    return index


def test_codes_by_hand() -> None:
    """3 is nearest 4, index 2; -1.5 nearest -2, index 0: 2 + 0·4. 0.4 is nearest 0; 6 nearest 9, index 3: 0 + 3·4.

    Of 1 and 4, equally far from 2.5, the first counts: index 1, and 2 has index 2: 1 + 2·4.
    """
    quantizer = by_hand()
    codes = quantizer.encode(np.array([[3, -1.5], [0.4, 6], [2.5, 2]]))
    assert quantizer.bits == 4
    assert codes.tolist() == [[2], [12], [9]]
    assert quantizer.codewords_of(codes).tolist() == [[2, 0], [0, 3], [1, 2]]
    assert quantizer.decode(codes).tolist() == [[4, -2], [0, 9], [1, 2]]


def test_tables_by_hand() -> None:
    """Query (3, 1): (3 − 0)², (3 − 1)² … and (1 + 2)², (1 − 0)² …; products 3·0, 3·1 … and 1·−2, 1·0 …"""
    query = np.array([[3.0, 1.0]])
    assert by_hand().tables(query).tolist() == [[[9, 4, 1, 9], [9, 1, 1, 64]]]
    assert by_hand().tables(query, "ip").tolist() == [[[0, 3, 12, 18], [-2, 0, 2, 9]]]


def test_a_rotation_by_hand() -> None:
    """R turns (a, b) into (b, −a): (0, 3) becomes (3, 0), whose codewords 4 and 0 are (0, 4) turned back."""
    quantizer = ProductQuantizer.from_codebooks(by_hand().codebooks, rotation=np.array([[0.0, -1.0], [1.0, 0.0]]))
    codes = quantizer.encode(np.array([[0.0, 3.0]]))
    assert quantizer.codewords_of(codes).tolist() == [[2, 1]]
    assert quantizer.decode(codes).tolist() == [[0, 4]]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("part", [2, 20])
def test_codes_are_those_of_faiss(width: int, part: int) -> None:
    """Apart from ties within 1e-5 relative, which float32 there and float64 here may settle differently."""
    quantizer = ProductQuantizer.from_codebooks(draw(3, 2**width, part))
    embedding = draw(200, 3 * part, seed=1)
    ours = quantizer.encode(embedding)
    theirs = to_faiss(quantizer).sa_encode(embedding)
    assert ours.shape == theirs.shape
    best = np.sort(quantizer.tables(embedding), axis=2)
    clear = best[:, :, 1] - best[:, :, 0] > 1e-5 * best[:, :, 1]
    differ = quantizer.codewords_of(ours) != faiss.unpack_bitstrings(theirs, 3, width)
    assert clear.mean() > 0.9
    assert not (differ & clear).any()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("distance", "metric"), [("l2", faiss.METRIC_L2), ("ip", faiss.METRIC_INNER_PRODUCT)])
def test_tables_give_the_distances_of_faiss(width: int, distance: str, metric: int) -> None:
    quantizer = ProductQuantizer.from_codebooks(draw(3, 2**width, 4))
    codes, queries = quantizer.encode(draw(50, 12, seed=1)), draw(7, 12, seed=2)
    index = to_faiss(quantizer, metric)
    index.add_sa_codes(codes)
    distances, ids = index.search(queries, 50)
    indices = quantizer.codewords_of(codes)
    sums = quantizer.tables(queries, distance)[:, np.arange(3), indices].sum(2)
    np.testing.assert_allclose(np.take_along_axis(sums, ids, 1), distances, rtol=1e-5, atol=1e-5)  # float32 sums


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.sampled_from([2, 8, 64]), st.booleans(), st.integers(0, 99))
def test_tables_add_up_to_the_distance_of_the_decoded(m: int, k: int, turned: bool, seed: int) -> None:
    quantizer = ProductQuantizer.from_codebooks(draw(m, k, 3, seed=seed), rotation=rotation(3 * m) if turned else None)
    codes, query = quantizer.encode(draw(9, 3 * m, seed=seed + 1)), draw(1, 3 * m, seed=seed + 2)
    decoded, indices = quantizer.decode(codes), quantizer.codewords_of(codes)
    for distance, wanted in (("l2", ((query - decoded) ** 2).sum(1)), ("ip", decoded @ query[0])):
        found = quantizer.tables(query, distance)[0, np.arange(m), indices].sum(1)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)  # float32 on both sides


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.sampled_from([2, 16, 64]), st.booleans())
def test_the_code_is_the_nearest_by_nested_loops(m: int, k: int, turned: bool) -> None:
    quantizer = ProductQuantizer.from_codebooks(draw(m, k, 2), rotation=rotation(2 * m) if turned else None)
    embedding = draw(5, 2 * m, seed=1)
    rotated = embedding @ quantizer.rotation if quantizer.rotation is not None else embedding
    wanted = [
        [int(((quantizer.codebooks[i] - row[2 * i : 2 * i + 2]) ** 2).sum(1).argmin()) for i in range(m)]
        for row in rotated
    ]
    assert quantizer.codewords_of(quantizer.encode(embedding)).tolist() == wanted


def test_a_common_offset_costs_no_digits() -> None:
    """Codewords 0.001 apart at 1000: squares in float32 are 0.06 apart."""
    quantizer = ProductQuantizer.from_codebooks(1000 + np.arange(8).reshape(1, 8, 1) / 1024)
    embedding = quantizer.codebooks[0]
    assert quantizer.codewords_of(quantizer.encode(embedding))[:, 0].tolist() == list(range(8))
    assert quantizer.tables(embedding[:1])[0, 0, 1] == np.float32(1 / 1024**2)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer = ProductQuantizer.from_codebooks(draw(2, 16, 3), rotation=rotation(6))
    embedding = draw(50, 6, seed=1)
    codes, others = quantizer.encode(embedding), quantizer.encode(embedding + 0.1)

    def answers() -> list[np.ndarray]:
        return [quantizer.encode(embedding), quantizer.tables(embedding), quantizer.soft(embedding, codes, others)]

    whole = answers()
    monkeypatch.setattr(module, "CACHED", 100)
    monkeypatch.setattr(product_module, "_TABLES", 100)
    assert all(np.array_equal(one, other) for one, other in zip(whole, answers(), strict=True))


def test_fit_finds_a_grid() -> None:
    """Each part takes one of four values: a codebook of four loses nothing, one of two does."""
    vectors = np.random.default_rng(0).integers(0, 4, (200, 3)).astype(np.float64)
    quantizer = ProductQuantizer(3, 4).fit(vectors)
    assert np.array_equal(np.sort(quantizer.codebooks, axis=1)[..., 0].round(5), [[0, 1, 2, 3]] * 3)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(vectors)), vectors, atol=1e-6)


def test_fit_is_given_by_the_seed_and_leaves_its_input() -> None:
    vectors = draw(300, 8)
    kept = vectors.copy()
    one, same, other = (ProductQuantizer(2, 16, seed=seed).fit(vectors).codebooks for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(vectors, kept)


def test_fit_starts_from_given_codebooks() -> None:
    """One iteration from codewords 0 and 10: means of {0, 2} and {8, 10}."""
    vectors = np.array([[0.0], [2.0], [8.0], [10.0]])
    quantizer = ProductQuantizer(1, 2, iterations=1).fit(vectors, start=np.array([[[10.0], [0.0]]]))
    assert quantizer.codebooks.tolist() == [[[9], [1]]]


@pytest.mark.parametrize("turned", [False, True])
def test_the_state_gives_the_quantizer_again(turned: bool) -> None:
    quantizer = ProductQuantizer.from_codebooks(draw(3, 8, 4), rotation=rotation(12) if turned else None)
    again = QUANTIZERS["pq"].from_state(quantizer.bits, quantizer.state())
    embedding = draw(20, 12, seed=1)
    assert again.state().keys() == quantizer.state().keys()
    assert all(np.array_equal(again.state()[name], tensor) for name, tensor in quantizer.state().items())
    assert np.array_equal(again.encode(embedding), quantizer.encode(embedding))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codebooks": None}, "codebooks must be there, got nothing"),
        ({"threshold": np.array(0.5)}, "threshold must not be there, wanted codebooks, rotation alone"),
        (
            {"codebooks": np.zeros((1, 2, 1))},
            r"codebooks must be float32 of 3 dimensions, got float64",
        ),
        ({"codebooks": np.zeros((1, 2, 1), np.complex64)}, "must be float32"),
        ({"codebooks": np.zeros((1, 2, 1), bool)}, "must be float32"),
        ({"codebooks": np.zeros((2, 1), np.float32)}, r"of 3 dimensions, got float32 of shape \(2, 1\)"),
        ({"codebooks": np.array([[[0.0], [np.nan]]], np.float32)}, "codebooks must be finite"),
        ({"codebooks": np.array([[[0.0], [np.inf]]], np.float32)}, "codebooks must be finite"),
        ({"codebooks": np.zeros((1, 3, 1), np.float32)}, "power of two"),
        ({"codebooks": np.zeros((1, 2, 0), np.float32)}, "of shape"),
        ({"rotation": np.full((1, 1), np.nan, np.float32)}, "rotation must be finite"),
        ({"rotation": np.zeros((1, 1), np.float32)}, "orthogonal"),
        ({"rotation": np.eye(2, dtype=np.float32)}, r"rotation must have shape \(1, 1\)"),
    ],
)
def test_a_state_that_nobody_kept(changed: dict[str, np.ndarray | None], message: str) -> None:
    state = {"codebooks": np.array([[[0.0], [1.0]]], np.float32)} | changed
    with pytest.raises(ValueError, match=message):
        ProductQuantizer.from_state(1, {name: tensor for name, tensor in state.items() if tensor is not None})


@pytest.mark.parametrize("bits", [1.0, True, "1"])
def test_bits_of_another_type(bits: object) -> None:
    with pytest.raises(ValueError, match="bits must be an integer"):
        ProductQuantizer.from_state(bits, {"codebooks": np.array([[[0.0], [1.0]]], np.float32)})


def test_codebooks_cannot_be_changed_from_outside() -> None:
    codebooks = draw(1, 4, 2)
    quantizer = ProductQuantizer.from_codebooks(codebooks)
    codebooks[:] = 0
    assert quantizer.codebooks.any()
    with pytest.raises(ValueError, match="read-only"):
        quantizer.codebooks[:] = 0


def test_nothing_gives_nothing() -> None:
    quantizer, nothing = by_hand(), np.zeros((0, 2), np.float32)
    assert quantizer.encode(nothing).shape == (0, 1)
    assert quantizer.decode(np.zeros((0, 1), np.uint8)).shape == (0, 2)
    assert quantizer.tables(nothing).shape == (0, 2, 4)
    assert quantizer.soft(nothing, *2 * [np.zeros((0, 1), np.uint8)]).shape == (0, 4)


@pytest.mark.parametrize("use", ["encode", "decode", "tables", "state", "dimension"])
def test_unfitted(use: str) -> None:
    quantizer = ProductQuantizer(2, 4)
    calls = {
        "encode": lambda: quantizer.encode(np.zeros((1, 2))),
        "decode": lambda: quantizer.decode(np.zeros((1, 1), np.uint8)),
        "tables": lambda: quantizer.tables(np.zeros((1, 2))),
        "state": quantizer.state,
        "dimension": lambda: quantizer.dimension,
    }
    with pytest.raises(NotFittedError, match=r"ProductQuantizer is not fitted; call fit\(vectors\) first"):
        calls[use]()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ProductQuantizer.from_codebooks(draw(2, 4, 3), distance="cosine"),
            "distance must be l2 or ip, got 'cosine'",
        ),
        (lambda: ProductQuantizer(0, 4), "subspaces must be at least 1, got 0"),
        (lambda: ProductQuantizer(1, 1), "power of two from 2 to 65536, got 1"),
        (lambda: ProductQuantizer(1, 12), "power of two from 2 to 65536, got 12"),
        (lambda: ProductQuantizer(1, 2**17), "power of two from 2 to 65536, got 131072"),
        (lambda: ProductQuantizer(1, 4, iterations=0), "iterations must be at least 1, got 0"),
        (lambda: ProductQuantizer(4, 2).fit(np.zeros((9, 6))), "divide the 6 dimensions .* got 4; .* 1, 2, 3, 6"),
        (lambda: ProductQuantizer(2, 16).fit(np.zeros((9, 6))), "got 16 codewords for 9 vectors; .* at most 8"),
        (lambda: ProductQuantizer(2, 16).fit(np.zeros((1, 6))), "got 16 codewords for 1 vectors; give more vectors$"),
        (lambda: ProductQuantizer(1, 2).fit(np.zeros(9)), r"vectors must have shape \(N, D\), got \(9,\)"),
        (lambda: ProductQuantizer(1, 2).fit(np.array([[0], [np.inf]])), "finite float32, 1 rows are not, first row 1"),
        (lambda: ProductQuantizer(1, 2).fit(np.zeros((9, 2)), start=np.zeros((1, 2, 3))), r"shape \(1, 2, 2\), got"),
        (lambda: by_hand().encode(np.zeros((2, 3))), r"shape \(N, 2\), got \(2, 3\)"),
        (lambda: by_hand().encode(np.array([[0, np.nan]])), "free of NaN and infinity, got it in 1 rows, first row 0"),
        (lambda: by_hand().tables(np.array([[0, np.inf]])), "free of NaN and infinity, got it in 1 rows, first row 0"),
        (lambda: by_hand().tables(np.zeros((1, 2)), "cosine"), "distance must be l2 or ip, got 'cosine'"),
        (lambda: by_hand().decode(np.zeros((2, 2), np.uint8)), r"uint8 of shape \(N, 1\)"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((2, 4))), r"shape \(M, K, D / M\), got shape \(2, 4\)"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((2, 3, 1))), "power of two"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((0, 4, 1))), "got shape"),
        (lambda: ProductQuantizer.from_codebooks(np.full((1, 2, 1), np.nan)), "must be finite"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((1, 2, 3)), rotation=np.eye(2)), r"\(3, 3\), got \(2, 2\)"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((1, 2, 2)), rotation=np.ones((2, 2))), "orthogonal"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((1, 2, 1)), rotation=np.array([[np.nan]])), "orthogonal"),
        (lambda: ProductQuantizer.from_state(5, by_hand().state()), "make codes of 4 bits, got 5 bits"),
        (lambda: ProductQuantizer.from_codebooks(np.full((1, 2, 1), 1e300)), "must be finite"),
        (lambda: ProductQuantizer.from_codebooks(np.zeros((1, 2, 1), np.complex64)), "must be finite"),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_of_equal_codewords_the_first_is_named_whatever_the_batch() -> None:
    rng = np.random.default_rng(0)
    codebooks = rng.standard_normal((2, 16, 3)).astype(np.float32)
    codebooks[:, 8:] = codebooks[:, :8]
    quantizer = ProductQuantizer.from_codebooks(codebooks)
    vectors = rng.standard_normal((501, 6)).astype(np.float32)
    codes = quantizer.encode(vectors)
    assert quantizer.codewords_of(codes).max() < 8
    assert np.array_equal(codes, np.concatenate([quantizer.encode(each[None]) for each in vectors]))


def test_the_distance_to_its_own_codeword_is_zero() -> None:
    codebooks = np.random.default_rng(1).standard_normal((2, 16, 3)).astype(np.float32)
    quantizer = ProductQuantizer.from_codebooks(codebooks)
    tables = quantizer.tables(codebooks.transpose(1, 0, 2).reshape(16, 6))
    assert (tables[np.arange(16), :, np.arange(16)] == 0).all()
    assert (tables > 0).sum() == tables.size - 32


@pytest.mark.parametrize("scale", [1e-24, 1e19])
def test_vectors_whose_squares_leave_float32_are_refused(scale: float) -> None:
    vectors = scale * np.random.default_rng(2).standard_normal((40, 4))
    with pytest.raises(ValueError, match=r"the largest value of the vectors must be in 1e-12 … 1e\+15"):
        ProductQuantizer(2, 4).fit(vectors)
    assert ProductQuantizer(2, 4).fit(np.zeros((8, 4))).codebooks.max() == 0


def test_read_only_vectors_are_fitted_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    vectors = np.random.default_rng(3).standard_normal((40, 4)).astype(np.float32)
    vectors.setflags(write=False)
    ProductQuantizer(2, 4).fit(vectors)
    assert [str(each.message) for each in recwarn] == []


def test_bits_are_soft_where_both_codewords_are_the_nearest() -> None:
    """Codewords 0 and 2, squared distances at 1 − ε: (1 − ε)² and (1 + ε)², apart by 4 ε of 1; soft below 1e-5."""
    quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [2.0]], [[0.0], [2.0]]]))
    embedding = np.array([[1 - 1e-6, 1 - 1e-5]], np.float32)
    codes, others = np.array([[0b00]], np.uint8), np.array([[0b11]], np.uint8)
    assert quantizer.soft(embedding, codes, others).tolist() == [[True, False]]
    assert quantizer.soft(embedding, codes, codes).all()  # a codeword equals itself
