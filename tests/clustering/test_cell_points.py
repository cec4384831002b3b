"""Points as cells."""

import numpy as np
import pytest

from dqh.clustering import cell_points as module
from dqh.clustering.cell_points import Space, occupied_cells, points_of_codes, points_of_vectors
from dqh.errors import DataError
from dqh.quantizers.product import ProductQuantizer

SQUARE = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0]], [[0.0], [1.0]]], np.float32))


def turned(seed: int = 0, codewords: int = 8) -> ProductQuantizer:
    """A quantizer of 4 dimensions with a rotation."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.standard_normal((4, 4)))
    return ProductQuantizer.from_codebooks(generator.standard_normal((2, codewords, 2)) + 50, rotation=rotation)


def test_cells_by_hand() -> None:
    """Corners of a square; (0.1, 0.9) and (0, 1.1) share the cell 0·2 + 1, in the middle of which 0.05 and 1 are."""
    vectors = np.array([[0.1, 0.9], [0.9, 0.2], [0.0, 1.1]], np.float32)
    points = points_of_vectors(vectors, Space(SQUARE))
    assert points.cells.tolist() == [1, 2, 1]
    assert (points.grid.numbers.tolist(), points.grid.populations.tolist()) == ([1, 2], [2, 1])
    np.testing.assert_allclose(
        points.space.leave(points.middles(np.array([0, 1]))), [[0.05, 1.0], [0.9, 0.2]], atol=1e-6
    )
    assert points.loss == pytest.approx((0.01 + 0.01 + 0.01 + 0.04 + 0.01) / 3, rel=1e-5)  # float32
    assert points.labels(np.array([7, 9], np.int32)).tolist() == [7, 9, 7]


@pytest.mark.parametrize("chunk", [7, 2**15])
def test_means_and_counts_are_those_of_the_points(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By loops, whatever the chunks; cells are those of the codes of the quantizer."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    quantizer = turned()
    vectors = (50 + 2 * np.random.default_rng(1).standard_normal((500, 4))) @ quantizer.rotation.T.astype(np.float64)
    points = points_of_vectors(vectors.astype(np.float32), Space(quantizer))
    indices = quantizer.codewords_of(quantizer.encode(vectors))
    assert points.cells.tolist() == (8 * indices[:, 0] + indices[:, 1]).tolist()
    for place, number in enumerate(points.grid.numbers):
        members = vectors[points.cells == number]
        assert points.grid.populations[place] == len(members)
        mean = points.space.leave(points.middles(np.array([place])))[0]
        np.testing.assert_allclose(mean, members.mean(axis=0), rtol=1e-5)  # float32
    entered = points.space.enter(vectors.astype(np.float32)).double()
    assert points.square == pytest.approx(float(entered.square().sum()), rel=1e-9)


def test_codes_have_the_cells_of_their_vectors() -> None:
    quantizer = turned(codewords=128)  # 14 bits, two bytes
    vectors = np.random.default_rng(2).standard_normal((300, 4)).astype(np.float32)
    codes = quantizer.encode(vectors)
    points, wanted = points_of_codes(codes, Space(quantizer)), points_of_vectors(vectors, Space(quantizer), means=False)
    assert points.cells.tolist() == wanted.cells.tolist()
    assert occupied_cells(codes, Space(quantizer)) == len(np.unique(wanted.cells))
    middles = points.middles(np.arange(len(points.grid.numbers)))
    decoded = points.space.leave(middles)[points.grid.places(points.cells)]
    np.testing.assert_allclose(decoded, quantizer.decode(codes), rtol=1e-4, atol=1e-4)  # float32, around 50


def test_another_quantizer_is_refused() -> None:
    books = np.zeros((4, 2, 1), np.float32)
    with pytest.raises(ValueError, match=r"2 subspaces of at most 16,384 codewords, got 4 of 2; fit another one"):
        Space(ProductQuantizer.from_codebooks(books))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_values_that_cannot_be_squared(value: float) -> None:
    vectors = np.zeros((5, 2), np.float32)
    vectors[3, 1] = value
    with pytest.raises(DataError, match="row 3 is not, nor are 0 of the rows up to 4; leave them out"):
        points_of_vectors(vectors, Space(SQUARE))


def test_another_shape() -> None:
    with pytest.raises(ValueError, match=r"float of shape \(N, 2\), got int64 of shape \(3, 2\)"):
        points_of_vectors(np.zeros((3, 2), np.int64), Space(SQUARE))
