import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.quantizers import ProductQuantizer
from dqh.quantizers.plain_tables import plain_codewords, plain_tables


def test_by_hand() -> None:
    """Codewords 0 and 3, 0 and 4; of the query (3, 1): 9 0 and 1 9, products 0 9 and 0 4."""
    books = np.array([[[0], [3]], [[0], [4]]], np.float32)
    query = np.array([[3.0, 1.0]])
    assert plain_tables(books, None, query, distance="l2").tolist() == [[[9, 0], [1, 9]]]
    assert plain_tables(books, None, query, distance="ip").tolist() == [[[0, 9], [0, 4]]]


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("shape", [(1, 2, 1), (4, 16, 3), (3, 256, 16), (8, 16, 5)])
def test_tables_are_those_of_torch(shape: tuple[int, int, int], rotated: bool) -> None:
    """float64 in another order of sums, rounded to float32: at most its last digit; a query may be its codewords."""
    rng = np.random.default_rng(sum(shape))
    books = rng.standard_normal(shape).astype(np.float32)
    size = shape[0] * shape[2]
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0].astype(np.float32) if rotated else None
    quantizer = ProductQuantizer.from_codebooks(books, rotation=rotation)
    queries = rng.standard_normal((60, size)).astype(np.float32)
    queries[0] = quantizer.decode(quantizer.encode(queries[:1]))
    for distance in ("l2", "ip"):
        wanted = quantizer.tables(queries, distance)
        found = plain_tables(books, rotation, queries, distance=distance)
        assert found.dtype == np.float32
        assert np.allclose(found, wanted, rtol=2e-7, atol=1e-13)
        assert (found == wanted).mean() > 0.999
        if distance == "l2" and not rotated:
            assert (found[0].min(axis=1) == 0).all()


def test_codewords_by_hand_and_as_torch_finds_them() -> None:
    """(2, 2): 3 is nearer than 0, and 0 as near as 4; random ones, rotated."""
    books = np.array([[[0], [3]], [[0], [4]]], np.float32)
    assert plain_codewords(books, None, np.array([[2.0, 2.0]])).tolist() == [[1, 0]]
    rng = np.random.default_rng(1)
    books, rotation = rng.standard_normal((4, 16, 3)), np.linalg.qr(rng.standard_normal((12, 12)))[0]
    quantizer = ProductQuantizer.from_codebooks(books, rotation=rotation)
    queries = rng.standard_normal((300, 12)).astype(np.float32)
    wanted = quantizer.codewords_of(quantizer.encode(queries))
    assert quantizer.rotation is not None
    assert np.array_equal(plain_codewords(quantizer.codebooks, quantizer.rotation, queries), wanted)


@pytest.mark.parametrize("rotation", [None, np.eye(12, dtype=np.float32)])
def test_no_query_has_no_table(rotation: NDArray[np.float32] | None) -> None:
    books, queries = np.zeros((4, 16, 3), np.float32), np.zeros((0, 12), np.float32)
    for distance in ("l2", "ip"):
        assert plain_tables(books, rotation, queries, distance=distance).shape == (0, 4, 16)
    assert plain_codewords(books, rotation, queries).shape == (0, 4)


def test_a_query_is_alone() -> None:
    rng = np.random.default_rng(0)
    books = rng.standard_normal((6, 256, 16)).astype(np.float32)
    queries = rng.standard_normal((40, 96)).astype(np.float32)
    whole = plain_tables(books, None, queries, distance="l2")
    single = [plain_tables(books, None, queries[q : q + 1], distance="l2") for q in range(40)]
    assert np.array_equal(whole, np.concatenate(single))
